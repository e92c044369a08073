import hashlib
import math
from typing import Any

import pytest

from wpbridge.codec import args, php
from wpbridge.codec.args import JsonObject, JsonValue
from wpbridge.errors import CodecError


def refusal(text: bytes) -> CodecError:
    with pytest.raises(CodecError) as caught:
        args.decode(text)
    return caught.value


def nested(levels: int, inner: str = "1") -> bytes:
    return ("[" * levels + inner + "]" * levels).encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([], "[]"),
        ((1, "a"), '[1,"a"]'),
        ({}, "[]"),
        ({"a": {}}, '{"a":[]}'),
        ([None, True, False, -5], "[null,true,false,-5]"),
        ({0: "a", 1: "b"}, '["a","b"]'),
        ({"0": "a", "1": "b"}, '["a","b"]'),
        ({1: "x", 0: "y"}, '{"1":"x","0":"y"}'),
        ({1: "x"}, '{"1":"x"}'),
        ({"5": 1, 5: 2, "05": 3}, '{"5":2,"05":3}'),
        ({b"k": b"v"}, '{"k":"v"}'),
        (["a/b"], '["a\\/b"]'),
        (['"\\\b\f\n\r\t'], '["\\"\\\\\\b\\f\\n\\r\\t"]'),
        (["\x00\x1f\x7f"], '["\\u0000\\u001f\x7f"]'),
        (["\\u007f"], '["\\\\u007f"]'),
        (["é\u2028😀"], '["\\u00e9\\u2028\\ud83d\\ude00"]'),
        (["<>&'"], '["<>&\'"]'),
        ([1.0, -0.0, 0.1, 1e16, 1e17, 1.5e300, 1e-5], None),
        ([2**63 - 1, -(2**63)], "[9223372036854775807,-9223372036854775808]"),
    ],
)
def test_values_are_written_as_php_does(value: Any, text: str | None) -> None:
    expected = text or "[1,-0,0.1,10000000000000000,1.0e+17,1.5e+300,1.0e-5]"
    assert args.encode(value) == expected


def test_only_a_php_object_is_written_as_an_empty_or_numbered_one() -> None:
    assert args.encode([JsonObject(), JsonObject({"0": 1})]) == '[{},{"0":1}]'
    assert args.canonical({"a": JsonObject()}) == '{"a":[]}'  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "value",
    [
        [math.nan],
        [math.inf],
        [2**63],
        ["\ud800"],
        [{1, 2}],
        [object()],
        {None: 1},
        {True: 1},
        {2**64: 1},
    ],
)
def test_what_the_plugin_could_not_read_back_is_not_written(value: Any) -> None:
    with pytest.raises(CodecError):
        args.encode(value)


def test_five_hundred_and_twelve_levels_can_be_written_and_one_less_be_read() -> None:
    def levels(count: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(count - 1):
            value = [value]
        return value

    assert args.encode(levels(512)) == nested(512, "").decode()
    with pytest.raises(CodecError):
        args.encode(levels(513))
    assert args.decode(nested(511)).mapping
    assert "deeper" in str(refusal(nested(512)))


def test_bytes_that_are_not_utf8_become_question_marks_names_too() -> None:
    assert args.encode([b"caf\xe9!", "é"]) == '["caf?!","\\u00e9"]'
    assert args.encode([b"\xf0\x9f\x98", b"\xff\xff", b"\xef\xbf\xbd\xff"]) == (
        '["?","??","\\ufffd?"]'
    )
    assert args.encode({b"\xff": 1, b"?": 2}) == '{"?":2}'
    assert args.encode([b"\xc3\xa9"]) == '["\\u00e9"]'


def test_short_args_stand_in_their_column_and_long_ones_are_found_by_md5() -> None:
    short, long = "[" + "1" * 189 + "]", "[" + "1" * 190 + "]"
    assert args.columns(short) == (short, None)
    digest = hashlib.md5(long.encode(), usedforsecurity=False).hexdigest()
    assert args.columns(long) == (digest, long)
    assert args.columns("x" * 8000)[1] == "x" * 8000
    with pytest.raises(CodecError, match=r"args too long\. To ensure the args column"):
        args.columns("x" * 8001)


@pytest.mark.parametrize(
    ("text", "mapping", "values"),
    [
        ("[]", [], ()),
        ("{}", [], ()),
        (" [ 1 , 2 ] \n", [1, 2], (1, 2)),
        ('{"order_id":5,"a":1}', {"order_id": 5, "a": 1}, (5, 1)),
        ('{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}, (3, 2)),
        ('{"0":"a","1":"b"}', ["a", "b"], ("a", "b")),
        ('{"1":"x","0":"y"}', {"1": "x", "0": "y"}, ("x", "y")),
        ('{"\\u0030":{"0":{}}}', [[[]]], ([[]],)),
        ('["\\ud83d\\ude00é\\/"]', ["😀é/"], ("😀é/",)),
        ('["\\\\ud800"]', ["\\ud800"], ("\\ud800",)),
        ("[9223372036854775807]", [2**63 - 1], (2**63 - 1,)),
        ("[-9223372036854775808]", [-(2**63)], (-(2**63),)),
    ],
)
def test_stored_args_are_read_as_php_does(
    text: str, mapping: JsonValue, values: tuple[JsonValue, ...]
) -> None:
    decoded = args.decode(text.encode())
    assert decoded.mapping == mapping
    assert decoded.values == values


def test_ints_and_floats_are_kept_apart() -> None:
    values = args.decode(b"[1,1.0,-0,-0.0,1e5,9223372036854775808,1e400]").values
    assert [type(value) for value in values] == [int, float, int, float, float, float, float]
    assert values[5:] == (2.0**63, math.inf)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b'"x"',
        b"5",
        b"true",
        b"{not json",
        b"[1,]",
        b"[01]",
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b"[TRUE]",
        b"[1] x",
        b"[1]\0",
        b"\xef\xbb\xbf[]",
        b'["\x01"]',
        b'["\xff"]',
        b'["\\x"]',
        b'["\\ud800"]',
        b'["\\udc00"]',
        b'["\\ud800\\u0041"]',
        b"d41d8cd98f00b204e9800998ecf8427e",
        b"i:5;",
        b"a:1:{",
        b'C:1:"A":0:{}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'["' + b'\\"' * 100_000,
        b"[" + b"9" * 100_000,
    ],
)
def test_corrupt_args_are_refused(text: bytes) -> None:
    refusal(text)


def test_a_refusal_names_the_byte() -> None:
    assert refusal('["é",x]'.encode()).offset == 6
    assert refusal(b'["a\xff"]').offset == 3
    assert refusal('["é\\ud800"]'.encode()).offset == 4
    assert refusal("é".encode() + nested(512)).offset == 513


def test_a_very_long_number_becomes_a_float() -> None:
    assert args.decode(b"[" + b"9" * 100_000 + b"]").values == (math.inf,)


def test_brackets_in_texts_do_not_count_as_levels() -> None:
    text = b'["' + b"[" * 600 + b'","\\"' + b"[" * 600 + b'"]'
    assert len(args.decode(text).values) == 2


@pytest.mark.parametrize(
    ("stored", "repeated"),
    [
        ('{"a":{},"b":[{}]}', '{"a":[],"b":[[]]}'),
        ('{"0":"a","1":"b"}', '["a","b"]'),
        ("[1.0, -0, -0.0]", "[1,0,-0]"),
        ('["é", "/"]', '["\\u00e9","\\/"]'),
        ("{ }", "[]"),
    ],
)
def test_a_repeat_stores_args_decoded_and_encoded_again(stored: str, repeated: str) -> None:
    assert args.canonical(args.decode(stored.encode()).mapping) == repeated


def test_serialized_args_of_other_writers_are_read() -> None:
    assert args.decode(b'a:2:{s:1:"a";i:1;i:5;d:0.5;}').mapping == {"a": 1, "5": 0.5}
    assert args.decode(b'a:1:{i:0;a:1:{i:0;s:1:"x";}}').values == (["x"],)
    order = b'O:5:"Order":3:{s:2:"id";i:7;s:5:"\0*\0at";i:8;s:8:"\0Order\0x";a:0:{}}'
    assert args.decode(order).mapping == {"id": 7, "at": 8, "x": []}
    assert args.decode(b'a:2:{i:0;s:1:"\xff";i:1;E:3:"S:X";}').values == ("?", "S::X")
    assert args.decode(b"a:2:{i:0;i:1;i:1;R:2;}").values == (1, 1)


def test_serialized_args_that_hold_themselves_are_corrupt() -> None:
    refusal(b'O:1:"A":1:{s:1:"a";r:1;}')
    refusal(b'a:2:{i:0;O:1:"A":1:{s:1:"a";r:2;}i:1;r:2;}')


def test_php_values_are_written_as_json_encode_sees_them() -> None:
    blob = b'a:2:{i:0;O:1:"A":2:{s:1:"p";N;s:4:"\0*\0q";N;}i:1;O:8:"stdClass":0:{}}'
    assert args.encode(args.from_php(php.decode(blob))) == '[{"p":null},{}]'
    assert args.encode(args.from_php({b"\xff": b"\xff", 3: None})) == ('{"?":"?","3":null}')
    with pytest.raises(CodecError):
        args.from_php({0: php.PhpEnum("S", "X")})


def test_shared_php_values_cannot_fill_the_memory() -> None:
    value: php.PhpValue = php.PhpReference({})
    for _ in range(60):
        value = php.PhpReference({0: value, 1: value})
    with pytest.raises(CodecError):
        args.from_php(value)
