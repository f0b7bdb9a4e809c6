"""What is said of a schedule that is misunderstood: backwards ranges, steps of nothing, steps that never come."""

from itertools import pairwise

import pytest

from daemon.core.calendar import Cron, parse_schedule
from daemon.core.cron_words import steps_beyond


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0 22-2 * * *", "its hour runs backwards: write 22-2 as 22-23,0-2"),
        ("50-10 4 * * *", "its minute runs backwards: write 50-10 as 50-59,0-10"),
        ("0 1,23-0 * * *", "its hour runs backwards: write 23-0 as 23,0"),
        ("0 22-2/2 * * *", "its hour runs backwards: write 22-2 as 22-23,0-2"),
        ("0 4 25-5 * *", "its day-of-month runs backwards: write 25-5 as 25-31,1-5"),
        ("0 4 * nov-feb *", "its month runs backwards: write NOV-FEB as NOV-DEC,JAN-FEB"),
        ("0 4 * 11-1 *", "its month runs backwards: write 11-1 as 11-12,1"),
        ("0 4 * * fri-mon", "its day-of-week runs backwards: write FRI-MON as FRI-SAT,SUN-MON"),
        ("0 4 * * fri-sun", "its day-of-week runs backwards: write FRI-SUN as FRI-SAT,SUN"),
        ("0 4 * * 6-1", "its day-of-week runs backwards: write 6-1 as 6,0-1"),
        ("*/0 * * * *", "its minute has a step of 0, where 1 is the least"),
        ("0 1-9/00 * * *", "its hour has a step of 0, where 1 is the least"),
        ("0 22-2,99 * * *", "its hour runs backwards"),
        ("0 99-2 * * *", "its hour must be 0-23"),
        ("0 22- * * *", "its hour must be 0-23"),
        ("0 5-5,99 * * *", "its hour must be 0-23"),
        ("0 xyz-2 * * *", "its hour must be 0-23"),
        ("0 4 * xyz-feb *", "its month must be 1-12 or JAN-DEC"),
        ("0 4 * feb-xyz *", "its month must be 1-12 or JAN-DEC"),
        ("0 24 * * *", "its hour must be 0-23"),
    ],
)
def test_a_range_that_runs_backwards_and_a_step_of_nothing_are_explained(text: str, why: str) -> None:
    """The schedule that was meant is written out; what is simply no number of the field is told its range."""
    with pytest.raises(ValueError, match="is not a schedule") as refused:
        parse_schedule(text)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("month", "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"),
        ("day-of-week", "SUN MON TUE WED THU FRI SAT"),
    ],
)
def test_each_name_of_a_month_or_a_day_is_known(field: str, names: str) -> None:
    """In a range that runs from it to the one before."""
    first, *others = names.split()
    for before, name in pairwise([first, *others]):
        schedule = f"0 4 * {name}-{before} *" if field == "month" else f"0 4 * * {name}-{before}"
        with pytest.raises(ValueError, match=f"its {field} runs backwards: write {name}-{before} as"):
            parse_schedule(schedule)


def test_what_is_written_out_is_read() -> None:
    """Each advice above is a schedule itself."""
    for text in ("0 22-23,0-2 * * *", "0 4 * NOV-DEC,JAN-FEB *", "0 4 * * FRI-SAT,SUN-MON", "0 4 * * 6,0-1"):
        assert isinstance(parse_schedule(text), Cron)


@pytest.mark.parametrize(
    ("expression", "term", "counts", "alone", "advice"),
    [
        ("0 */168 * * *", "*/168", "hours of a day", 0, '168 hours write "every 168h"'),
        ("*/90 * * * *", "*/90", "minutes of an hour", 0, '90 minutes write "every 90m"'),
        ("0 4 */40 * *", "*/40", "days of a month", 1, '40 days write "every 40d"'),
        ("0 4 1 */13 *", "*/13", "months of a year", 1, ""),
        ("0 4 * * */8", "*/8", "days of a week", 0, ""),
        ("0 4 * * mon-fri/6", "MON-FRI/6", "days of a week", 1, ""),
        ("0 4 * * 7/2", "7/2", "days of a week", 7, ""),
        ("0 8/100 * * *", "8/100", "hours of a day", 8, '100 hours write "every 100h"'),
    ],
)
def test_a_step_that_can_never_come_is_told(expression: str, term: str, counts: str, alone: int, advice: str) -> None:
    """Cron takes it, and starts at the first value of the field alone: `*/168` for the hour is daily."""
    also = f"; for once in {advice}" if advice else ""
    assert steps_beyond(expression) == (f'"{term}" steps beyond the {counts}, so that it means {alone} alone{also}',)
    assert isinstance(parse_schedule(expression), Cron)


@pytest.mark.parametrize(
    "expression", ["*/60 */24 */31 */12 */7", "0-59/15 4 * * *", "5/10 1,2 L * fri#2", "0 4 LW * 5L", "0 4 L/99 * *"]
)
def test_a_step_within_its_field_is_not(expression: str) -> None:
    """One of the field's whole width says what it means."""
    assert steps_beyond(expression) == ()


def test_each_step_beyond_its_field_is_told_wherever_it_stands() -> None:
    """After what is no step, and in several fields."""
    said = steps_beyond("1,*/90 4,*/25 * * *")
    assert [one.partition(" ")[0] for one in said] == ['"*/90"', '"*/25"']
