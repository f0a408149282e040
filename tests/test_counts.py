"""Counts of commands: they add up, and decide the exit status."""

import pytest

from jaxpose.counts import Counts, exit_status, print_counts, summed


def test_a_line_adds_up():
    counts = Counts("images", 11, {"image missing": 1, "damaged": 0}, {"given twice": 2})
    assert (counts.given, counts.left_out) == (14, {"image missing": 1, "given twice": 2})
    assert str(counts) == (
        "given 14 images = done 11 + left out 3 (image missing: 1, given twice: 2)"
    )
    assert counts.to_dict()["given"] == 14
    assert str(Counts("people", 2)) == "given 2 people = done 2 + left out 0"


@pytest.mark.parametrize(
    ("unit", "one"), [("files", "file"), ("people", "person"), ("boxes", "box"), ("poses", "pose")]
)
def test_one_thing_is_named_in_the_singular(unit, one):
    assert str(Counts(unit, 1)) == f"given 1 {one} = done 1 + left out 0"
    assert str(Counts(unit, 0, {"damaged": 1})).startswith(f"given 1 {one} = done 0 ")
    assert str(Counts(unit, 0)).startswith(f"given 0 {unit} = ")


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ([Counts("files", 2)], 0),
        ([Counts("files", 2, {"damaged": 0}, {"crowd": 3})], 0),
        ([Counts("files", 2, {"damaged": 1})], 1),
        ([Counts("files", 2), Counts("frames", 0, {"damaged": 1})], 1),
        # A video that breaks off has frames, though it is not done as a file.
        ([Counts("files", 0, {"damaged": 1}), Counts("frames", 7)], 1),
        ([Counts("files", 0, {"damaged": 1})], 2),
        ([Counts("files", 0, {}, {"crowd": 1})], 2),
    ],
)
def test_the_exit_status_is_by_one_rule(counts, status, capsys):
    assert print_counts(counts) == exit_status(counts) == status
    assert capsys.readouterr().out.startswith("Given ")


def test_counts_of_one_unit_are_added():
    parts = [
        Counts("people", 3, {"damaged": 1}, {"crowd": 2}),
        Counts("images", 1),
        Counts("people", 4, {"damaged": 2, "missing": 1}),
    ]
    people, images = summed(parts)
    assert people == Counts("people", 7, {"damaged": 3, "missing": 1}, {"crowd": 2})
    assert images.given == 1
