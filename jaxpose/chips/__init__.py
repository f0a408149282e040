"""Accelerators without the machine: their figures, their compilers, costs of compiled programs."""
