"""From where a store is filled: what costs least comes first, and what is encrypted goes where the same can read it."""

from hypothesis import given
from hypothesis import strategies as st

from daemon.core.copies_ways import Held, Recipients, Way, ways

PLAIN: Recipients = frozenset()
MINE, YOURS = frozenset({"age1mine"}), frozenset({"age1yours"})


def folder(store: str, recipients: Recipients = PLAIN) -> Held:
    """A copy in a folder of this machine."""
    return Held(store, recipients, near=True)


def bucket(store: str, recipients: Recipients = PLAIN) -> Held:
    """A copy in a store behind a network."""
    return Held(store, recipients, near=False)


def test_a_new_backup_comes_from_the_node() -> None:
    """Nobody else has it."""
    assert ways([], {"nas": PLAIN, "offsite": MINE}, on_panel=True) == (Way(None, ("nas", "offsite")),)


def test_a_folder_goes_before_the_node_and_the_node_before_what_is_reached_over_a_network() -> None:
    """The folder costs nobody anything; a bucket may cost for what is read."""
    found = ways([bucket("s3"), folder("nas")], {"usb": PLAIN}, on_panel=True)
    assert [way.source for way in found] == ["nas", None, "s3"]


def test_what_the_panel_does_not_have_any_more_comes_from_another_store() -> None:
    """Or from nowhere."""
    assert ways([bucket("s3")], {"usb": PLAIN}, on_panel=False) == (Way("s3", ("usb",)),)
    assert ways([], {"usb": PLAIN}, on_panel=False) == ()


def test_a_plain_copy_serves_every_store_and_goes_before_an_encrypted_one() -> None:
    """It is encrypted for each on the way, and read but once."""
    targets = {"usb": PLAIN, "a": MINE, "b": YOURS}
    found = ways([folder("sealed", MINE), folder("nas")], targets, on_panel=False)
    assert found == (Way("nas", ("usb", "a", "b")), Way("sealed", ("a",)))


def test_an_encrypted_copy_serves_the_same_recipients_alone() -> None:
    """Nobody here can read it: neither to store it plain, nor for others, nor for one more."""
    targets = {"usb": PLAIN, "a": MINE, "b": YOURS, "c": MINE | YOURS}
    assert ways([folder("sealed", MINE)], targets, on_panel=False) == (Way("sealed", ("a",)),)


def test_a_store_is_not_filled_from_itself() -> None:
    """What it was seen to have it has lost."""
    assert ways([folder("nas")], {"nas": PLAIN, "usb": PLAIN}, on_panel=True) == (Way(None, ("nas", "usb")),)


RECIPIENTS = st.sampled_from([PLAIN, MINE, YOURS, MINE | YOURS])
NAMES = st.sampled_from("abcdef")


@given(
    st.lists(st.builds(Held, NAMES, RECIPIENTS, st.booleans()), max_size=6, unique_by=lambda one: one.store),
    st.dictionaries(NAMES, RECIPIENTS, min_size=1),
    st.booleans(),
)
def test_every_store_is_named_in_each_way_that_could_fill_it(
    held: list[Held], targets: dict[str, Recipients], on_panel: bool
) -> None:
    """And each way is tried once."""
    found = ways(held, targets, on_panel=on_panel)
    assert len({way.source for way in found}) == len(found)
    for name, recipients in targets.items():
        named = {way.source for way in found if name in way.stores}
        able = {one.store for one in held if one.store not in targets and one.recipients in {PLAIN, recipients}}
        assert named == able | ({None} if on_panel else set())
