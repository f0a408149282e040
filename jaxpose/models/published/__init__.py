"""Published models: constructors, conversion tables and records, one file for each family.

`record` has the types of the records, `families` the list of all families and `catalogue` the list
of all models. `vit_tables`, `lift_tables` and `heads` have conversion tables that several models
share.
"""
