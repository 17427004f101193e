"""Control messages and Binance's replies to them."""

import json

import pytest

from sim.subscriptions import Subscriptions

VARIANTS = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"


def test_a_conversation() -> None:
    wants = Subscriptions([], wrapped=False)
    talk = [
        ('{"method":"SUBSCRIBE","params":["a@kline_1m","b@x"],"id":1}', '{"result":null,"id":1}'),
        ('{"method":"UNSUBSCRIBE","params":["b@x"],"id":"u"}', '{"result":null,"id":"u"}'),
        ('{"method":"LIST_SUBSCRIPTIONS","id":3}', '{"result":["a@kline_1m"],"id":3}'),
        ('{"method":"GET_PROPERTY","params":["combined"],"id":2}', '{"result":false,"id":2}'),
        ('{"method":"SET_PROPERTY","params":["combined",true],"id":5}', '{"result":null,"id":5}'),
        ('{"method":"GET_PROPERTY","params":["combined"],"id":null}', '{"result":true,"id":null}'),
    ]
    for said, reply in talk:
        assert wants.answer(said) == reply
    assert list(wants.streams) == ["a@kline_1m"]
    assert wants.wrapped


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        ("nonsense", 3, "Invalid JSON: expected value at line 1 column 1"),
        ('{"id":1}', 2, "Invalid request: missing field `method` at line 1 column 8"),
        (
            '{"method":"SHOUT","id":1}',
            2,
            f"Invalid request: unknown variant `SHOUT`, expected one of {VARIANTS} "
            "at line 1 column 17",
        ),
        (
            '{"method":"SUBSCRIBE","params":[],"id":1.5}',
            2,
            "Invalid request: request ID must be an unsigned integer",
        ),
        (
            '{"method":"GET_PROPERTY","params":[5],"id":1}',
            2,
            "Invalid request: property name must be a string",
        ),
        (
            '{"method":"GET_PROPERTY","params":["combined",1],"id":1}',
            2,
            "Invalid request: too many parameters",
        ),
        (
            '{"method":"SET_PROPERTY","params":["combined",1],"id":1}',
            1,
            "Invalid value type: expected Boolean",
        ),
    ],
)
def test_errors_are_worded_as_the_exchange_words_them(said: str, code: int, message: str) -> None:
    reply = json.loads(Subscriptions([], wrapped=True).answer(said))
    assert reply == {"code": code, "msg": message}


def test_only_an_unknown_property_tells_the_id() -> None:
    said = '{"method":"GET_PROPERTY","params":["colour"],"id":9}'
    reply = json.loads(Subscriptions([], wrapped=True).answer(said))
    assert reply == {"code": 0, "msg": "Unknown property", "id": 9}
