import pytest

from ansible.module_utils.rollback import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"),
        (0.044, "44 ms"),
        (0.9996, "1.0 s"),
        (4.24, "4.2 s"),
        (42.4, "42 s"),
        (59.4, "59 s"),
        (59.5, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations_carry_over_at_their_limits(seconds, said):
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (6_606_028, "6.3 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (2**60, "1048576.0 TiB"),
    ],
)
def test_sizes_have_binary_units(count, said):
    assert words.size(count) == said


def test_what_cannot_be_told_is_no_zero():
    assert (words.count(None), words.count(0), words.count(1234)) == ("–", "0", "1,234")


def test_one_thing_has_no_plural():
    assert [words.amount(n, "row") for n in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]


def test_a_list_says_how_many_it_leaves_out():
    assert words.listed("abcde") == "a, b, c, d, e"
    assert words.listed("abcdefg") == "a, b, c, d, e and 2 more"
    assert words.listed([]) == ""


def test_columns_are_as_wide_as_their_widest_cell_and_lines_have_no_trailing_blanks():
    assert words.table([["name", "rows"], ["leads", 60000], ["x", ""]], "<>") == ["name     rows", "leads  60,000", "x"]
    assert words.table([]) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a": "1.0.0", "b": "1.0.0"}, "1.0.0"),
        ({"b": "1.0.0", "a": "1.0.0", "c": "1.0.1"}, "1.0.0 on a, b; 1.0.1 on c"),
        ({"a": "", "b": "1.0.1"}, "1.0.1 on b; unknown on a"),
        (
            {f"app{number:03}": "x" for number in range(100)} | {"b": "y"},
            "x on app000, app001, app002, app003, app004 and 95 more; y on b",
        ),
    ],
)
def test_who_has_which_value(values, said):
    assert words.by_value(values) == said
