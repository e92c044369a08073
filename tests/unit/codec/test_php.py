import json
import math

import pytest

from wpbridge.codec.php import (
    PhpArray,
    PhpCustom,
    PhpEnum,
    PhpObject,
    PhpReference,
    PhpValue,
    decode,
    deref,
    encode,
    to_plain,
)
from wpbridge.codec.php_values import float_text
from wpbridge.errors import CodecError


def refusal(
    data: bytes, *, max_depth: int = 512, max_items: int = 100_000, max_bytes: int = 1 << 26
) -> CodecError:
    with pytest.raises(CodecError) as caught:
        decode(data, max_depth=max_depth, max_items=max_items, max_bytes=max_bytes)
    return caught.value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"N;", None),
        (b"b:0;", False),
        (b"b:1;", True),
        (b"i:-12;", -12),
        (b"i:9223372036854775807;", 2**63 - 1),
        (b"d:0.1;", 0.1),
        (b"d:1.0E+25;", 1e25),
        (b"d:1;", 1.0),
        (b"d:INF;", math.inf),
        (b"d:-INF;", -math.inf),
        (b's:0:"";', b""),
        (b's:5:"a"b;c";', b'a"b;c'),
        (b's:3:"\xff\x00\xc3";', b"\xff\x00\xc3"),
        (b"a:0:{}", {}),
        (b'a:2:{i:0;N;s:1:"k";a:1:{i:-3;b:1;}}', {0: None, b"k": {-3: True}}),
    ],
)
def test_plain_values_are_read_and_written_back(data: bytes, value: PhpValue) -> None:
    decoded = decode(data)
    assert decoded == value
    assert type(decoded) is type(value)
    assert encode(value) == data


def test_floats_keep_their_sign_and_their_gaps() -> None:
    assert encode(decode(b"d:-0;")) == b"d:-0;"
    nan = decode(b"d:NAN;")
    assert isinstance(nan, float)
    assert math.isnan(nan)
    assert encode(nan) == b"d:NAN;"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"),
        (-0.0, "-0"),
        (0.0001, "0.0001"),
        (0.00001, "1.0E-5"),
        (1e15, "1000000000000000"),
        (1e16, "10000000000000000"),
        (1.2345678901234568e16, "12345678901234568"),
        (1e17, "1.0E+17"),
        (1.5e300, "1.5E+300"),
        (5e-324, "5.0E-324"),
        (-111117.33333333333, "-111117.33333333333"),
    ],
)
def test_floats_are_laid_out_as_php_does(number: float, text: str) -> None:
    assert float_text(number, "E") == text
    assert float_text(number, "e") == text.replace("E", "e")


def test_ints_beyond_64_bit_stop_at_the_end_as_in_php() -> None:
    assert decode(b"i:9223372036854775808;") == 2**63 - 1
    assert decode(b"i:-99999999999999999999;") == -(2**63)


def test_numeric_array_keys_become_ints_and_the_later_of_two_wins() -> None:
    assert decode(b'a:3:{s:1:"5";i:1;s:2:"05";i:2;i:5;i:3;}') == {5: 3, b"05": 2}


def test_strings_with_escapes_are_read_and_written_plainly() -> None:
    assert decode(b'S:3:"a\\5c\\00";') == b"a\\\0"
    assert encode(decode(b'a:1:{S:1:"\\61";N;}')) == b'a:1:{s:1:"a";N;}'


def test_an_object_is_data_and_its_properties_are_found_by_plain_name() -> None:
    blob = (
        b'O:3:"Dog":4:{s:4:"name";s:3:"Rex";s:6:"\0*\0age";i:3;'
        b's:8:"\0Dog\0tag";i:7;s:11:"\0Animal\0tag";i:8;}'
    )
    dog = decode(blob)
    assert isinstance(dog, PhpObject)
    assert dog.class_name == "Dog"
    assert [dog.get(name) for name in ("name", "age", "tag")] == [b"Rex", 3, 7]
    assert dog.get("owner") is None
    assert dog.get("owner", b"none") == b"none"
    assert encode(dog) == blob


def test_a_private_property_of_a_parent_is_found_too() -> None:
    dog = decode(b'O:3:"Dog":1:{s:11:"\0Animal\0tag";i:8;}')
    assert isinstance(dog, PhpObject)
    assert dog.get("tag") == 8


def test_property_names_are_not_turned_into_ints() -> None:
    for blob in (b'O:1:"A":1:{s:1:"5";N;}', b'O:1:"A":1:{i:5;N;}'):
        assert encode(decode(blob)) == blob


def test_class_names_keep_every_byte() -> None:
    blob = b'O:6:"N\\\xc3\xa9\xff\x80":0:{}'
    assert encode(decode(blob)) == blob


def test_the_same_object_is_one_python_object() -> None:
    blob = b'a:3:{i:0;O:1:"A":0:{}i:1;r:2;i:2;a:1:{i:0;r:2;}}'
    value = decode(blob)
    assert isinstance(value, dict)
    assert value[0] is value[1]
    assert encode(value) == blob


def test_an_object_met_again_takes_a_slot_and_a_reference_takes_none() -> None:
    object_again = b'a:5:{i:0;O:1:"A":0:{}i:1;r:2;i:2;O:1:"B":0:{}i:3;r:4;i:4;r:2;}'
    shared = b'a:4:{i:0;i:7;i:1;R:2;i:2;O:1:"A":0:{}i:3;r:3;}'
    for blob in (object_again, shared):
        assert encode(decode(blob)) == blob
    assert refusal(b'a:4:{i:0;i:7;i:1;R:2;i:2;O:1:"A":0:{}i:3;r:4;}').offset == 41


def test_a_reference_is_one_box_in_both_places() -> None:
    value = decode(b"a:2:{i:0;i:1;i:1;R:2;}")
    assert isinstance(value, dict)
    assert isinstance(value[0], PhpReference)
    assert value[0] is value[1]
    value[0].value = 5
    assert deref(value[1]) == 5
    assert encode(value) == b"a:2:{i:0;i:5;i:1;R:2;}"


@pytest.mark.parametrize(
    "blob",
    [
        b'O:1:"A":1:{s:4:"self";r:1;}',
        b'O:1:"A":1:{s:4:"self";R:1;}',
        b'a:1:{s:4:"self";a:1:{s:4:"self";R:2;}}',
        b'a:5:{i:0;O:1:"A":0:{}i:1;R:2;i:2;R:2;i:3;r:2;i:4;R:2;}',
        b'O:1:"A":2:{s:1:"b";O:1:"B":1:{s:1:"a";r:1;}s:1:"c";r:2;}',
        b'a:6:{i:0;E:3:"S:X";i:1;r:2;i:2;E:3:"S:Y";i:3;i:5;i:4;O:1:"A":0:{}i:5;r:6;}',
        b'a:2:{i:0;C:3:"Foo":5:{a;}:{}i:1;r:2;}',
    ],
)
def test_cycles_and_shared_values_are_written_back_byte_for_byte(blob: bytes) -> None:
    assert encode(decode(blob)) == blob


def test_enum_cases_and_self_written_objects_are_inert() -> None:
    assert decode(b'E:9:"N\\Suit:Up";') == PhpEnum("N\\Suit", "Up")
    custom = decode(b'C:3:"Foo":3:{abc}')
    assert isinstance(custom, PhpCustom)
    assert (custom.class_name, custom.data) == ("Foo", b"abc")


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"", 0),
        (b"i:1", 0),
        (b"i: 1;", 0),
        (b"i:;", 0),
        (b"b:2;", 0),
        (b"n;", 0),
        (b"d:0x1;", 0),
        (b"i:1;i:2;", 4),
        (b"N; ", 2),
        (b's:2:"a";', 5),
        (b's:1:"ab";', 5),
        (b's:-1:"a";', 0),
        (b's:+1:"a";', 0),
        (b's:99999999999999999999:"a";', 24),
        (b's:1:"a"', 5),
        (b'S:2:"\\4', 5),
        (b"a:1:{i:0;}", 5),
        (b"a:1:{i:0;i:1;", 13),
        (b"a:1:{i:0;i:1;i:1;i:2;}", 13),
        (b"a:1:{d:0.5;N;}", 5),
        (b"a:1:{N;i:1;i}", 5),
        (b"a:-1:{}", 0),
        (b"a:0:{", 5),
        (b'O:1:"A":0:}', 7),
        (b'O:3:"a b":0:{}', 0),
        (b'O:0:"":0:{}', 0),
        (b'O:2:"A":0:{}', 5),
        (b'o:1:"A":0:{}', 0),
        (b'E:3:"Foo";', 0),
        (b'E:5:"a b:c";', 0),
        (b'C:3:"Foo":9:{abc}', 13),
        (b"r:1;", 0),
        (b"R:1;", 0),
        (b"a:1:{i:0;R:0;}", 9),
        (b"a:1:{i:0;R:9;}", 9),
        (b"a:1:{i:0;r:1;}", 9),
        (b"a:2:{i:0;i:1;i:0;R:2;}", 17),
    ],
)
def test_bad_text_is_refused_at_its_byte(data: bytes, offset: int) -> None:
    assert refusal(data).offset == offset


@pytest.mark.parametrize(
    "data",
    [
        b"a:2147483647:{",
        b"a:2147483647:{i:0;i:1;}",
        b'O:1:"A":2147483647:{}',
        b'S:2147483647:"a";',
        b"a:" + b"9" * 5000 + b":{}",
        b"d:" + b"9" * 10 + b"e" + b"9" * 5000,
        b"a:1:{i:0;" * 200_000,
        b'O:1:"A":1:{s:1:"a";' * 100_000,
        b"r:" + b"9" * 5000 + b";",
    ],
)
def test_hostile_text_ends_in_a_codec_error(data: bytes) -> None:
    refusal(data)


def test_whole_numbers_stop_at_the_ends_of_64_bit() -> None:
    assert decode(b"i:" + b"9" * 100_000 + b";") == 2**63 - 1
    assert decode(b"i:-" + b"9" * 100_000 + b";") == -(2**63)
    assert decode(b"i:+" + b"0" * 100_000 + b"7;") == 7


def test_what_follows_a_value_matters_only_where_a_caller_says_so() -> None:
    assert refusal(b"i:5;\n").offset == 4
    assert decode(b"i:5;\n\0x", ignore_rest=True) == 5
    assert decode(b"a:1:{i:0;N;}}", ignore_rest=True) == {0: None}


@pytest.mark.parametrize("blob", [b'O:000000000000000000000001:"A":+0:{}', b'O:1:"A"::{}'])
def test_an_empty_object_is_read_in_every_form_that_php_reads(blob: bytes) -> None:
    assert encode(decode(blob)) == b'O:1:"A":0:{}'


def test_the_limits_are_the_callers() -> None:
    nested = b"a:1:{i:0;" * 3 + b"N;" + b"}" * 3
    assert decode(nested, max_depth=3) == {0: {0: {0: None}}}
    assert refusal(nested, max_depth=2).offset == 23
    assert refusal(nested, max_items=2).offset == 23
    assert refusal(nested, max_bytes=5).offset == 0


def test_nesting_is_limited_when_writing_too() -> None:
    cycle: PhpArray = {}
    cycle[0] = cycle
    with pytest.raises(CodecError):
        encode(cycle)
    deep = b"a:1:{i:0;" * 512 + b"N;" + b"}" * 512
    assert encode(decode(deep)) == deep


@pytest.mark.parametrize("value", [2**63, {2**63: None}, "text", {0: {1}}, {"a": 1}, {None: 1}])
def test_what_php_cannot_hold_is_not_written(value: object) -> None:
    with pytest.raises(CodecError):
        encode(value)  # type: ignore[arg-type]


def test_array_keys_are_written_as_php_keeps_them() -> None:
    assert encode({b"5": b"a", 5: b"b"}) == b'a:1:{i:5;s:1:"b";}'


def test_equal_enum_cases_are_one_object() -> None:
    assert encode({0: PhpEnum("S", "X"), 1: PhpEnum("S", "X")}) == b'a:2:{i:0;E:3:"S:X";i:1;r:2;}'


def test_the_plain_view_shows_every_kind_of_value() -> None:
    blob = (
        b'O:3:"Dog":8:{s:4:"name";s:3:"R\xc3\xa9";s:6:"\0*\0age";i:3;s:8:"\0Dog\0tag";s:1:"\xff";'
        b's:4:"list";a:2:{i:0;d:INF;i:1;N;}s:3:"map";a:1:{s:2:"$x";b:1;}s:4:"self";r:1;'
        b's:1:"e";E:3:"S:X";s:1:"c";C:1:"C":1:{x}}'
    )
    assert to_plain(decode(blob)) == {
        "$class": "Dog",
        "name": "Ré",
        "age:protected": 3,
        "tag:Dog:private": {"$base64": "/w=="},
        "list": [{"$float": "INF"}, None],
        "map": {"$$x": True},
        "self": {"$ref": 1},
        "e": {"$class": "S", "$case": "X"},
        "c": {"$class": "C", "$data": "x"},
    }


def test_the_plain_view_stays_small_when_values_are_shared_many_times() -> None:
    value: PhpValue = PhpReference({})
    for _ in range(60):
        value = PhpReference({0: value, 1: value})
    assert len(json.dumps(to_plain(value))) < 5000


def test_the_plain_view_can_always_be_written_as_json() -> None:
    deep = decode(b"a:1:{i:0;" * 500 + b's:1:"\xed";' + b"}" * 500)
    assert "$base64" in json.dumps(to_plain(deep), allow_nan=False)
    odd = b'O:2:"\xff\xfe":2:{s:4:"\0*\0\xff";i:1;i:5;i:2;}'
    json.dumps(to_plain(decode(odd)), ensure_ascii=False).encode()
