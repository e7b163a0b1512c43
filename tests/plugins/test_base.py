import pytest

from clusterdns.errors import ConfigError, Place
from clusterdns.plugins.base import Plugin
from clusterdns.plugins.query import Reply
from tests.plugins.asking import Next, new_setup, query

PLACE = Place("Corefile", 1, 1)


async def test_a_plugin_passes_on_unless_it_does_more() -> None:
    class Toy(Plugin):
        """Does nothing."""

        name = "toy"

    reply = Reply()
    assert await Toy().resolve(query(), Next(reply)) is reply
    assert not Toy.in_chain()
    assert Toy().ready()


def test_attempt_keeps_faults_of_the_configuration_only() -> None:
    setup = new_setup()
    with setup.attempt():
        raise ConfigError("no", PLACE)
    assert [str(each) for each in setup.faults] == ["Corefile:1:1: no"]
    with pytest.raises(ZeroDivisionError), setup.attempt():
        raise ZeroDivisionError
