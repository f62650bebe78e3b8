"""Writes the Parquet files of this folder and what they hold as JSON lines.

Needs pyarrow, pandas, fastparquet and polars. Usage: make_parquet.py OUTPUT_DIRECTORY
"""

import base64
import json
import sys
from pathlib import Path

import fastparquet
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

TEXTS = [
    "plain words",
    'quotes "double" and \'single\', a \\ backslash, a / slash',
    "lines\nand\r\nand\ttabs\n",
    "NUL \x00, bell \x07, delete \x7f",
    "Größe, 漢字, 🙂, عربى, e\u0301, \u2028 and \u2029",
    "",
    " ",
    "0",
    "null",
    *[f"row {i}: " + "abc " * i for i in range(10, 30)],
    "the same words\n" * 30,
    *["the same text again"] * 8,
]

CALL = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": "ü"}'}}


def message(role, content, calls=None):
    return {"role": role, "content": content, "tool_calls": calls}


CHATS = [
    {
        "messages": [message("user", "Hello"), message("assistant", "Hi.\nWhat is it?")],
        "tools": None,
        "chat_template_kwargs": {"enable_thinking": True},
    },
    {
        "messages": [
            message("system", ""),
            message("user", 'Find "ü"'),
            message("assistant", None, [CALL, CALL]),
            message("tool", "[]"),
        ],
        "tools": '[{"type": "function", "function": {"name": "search"}}]',
        "chat_template_kwargs": None,
    },
    {"messages": [message("user", "漢字 🙂" * 50)], "tools": None, "chat_template_kwargs": None},
]

CONVERSATIONS = [
    {"conversations": [{"from": "human", "value": f"Why {i}?"}, {"from": "gpt", "value": "Yes."}]}
    for i in range(5)
]

IDS = [{"input_ids": [i, 2 * i, 65]} for i in range(1, 9)]

CALL_TYPE = pa.struct([
    ("id", pa.string()),
    ("type", pa.string()),
    ("function", pa.struct([("name", pa.string()), ("arguments", pa.string())])),
])
MESSAGE_TYPE = pa.struct([
    ("role", pa.string()),
    ("content", pa.string()),
    ("tool_calls", pa.list_(CALL_TYPE)),
])
CHAT_SCHEMA = pa.schema([
    ("messages", pa.list_(MESSAGE_TYPE)),
    ("tools", pa.string()),
    ("chat_template_kwargs", pa.struct([("enable_thinking", pa.bool_())])),
])


def write_lines(path, rows):
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")


def write_texts(out):
    write_lines(out / "text.jsonl", [{"text": text} for text in TEXTS])
    table = pa.table({"text": pa.array(TEXTS, pa.string())})
    for codec in ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]:
        pq.write_table(table, out / f"text_{codec}.parquet", compression=codec)
    pq.write_table(table, out / "text_row_groups.parquet", row_group_size=7)
    pq.write_table(table, out / "text_small_pages.parquet", data_page_size=64, write_batch_size=4)
    pq.write_table(table, out / "text_page_v2.parquet", data_page_version="2.0", compression="zstd")
    pq.write_table(table, out / "text_no_dictionary.parquet", use_dictionary=False)
    for encoding in ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]:
        pq.write_table(table, out / f"text_{encoding.lower()}.parquet", use_dictionary=False,
                       column_encoding={"text": encoding}, data_page_version="2.0")
    for name, kind in [
        ("large_string", pa.large_string()),
        ("category", pa.dictionary(pa.int32(), pa.string())),
        ("binary", pa.binary()),  # as older writers do: nothing says that the bytes are text
    ]:
        pq.write_table(table.cast(pa.schema([("text", kind)])), out / f"text_{name}.parquet",
                       store_schema=False)
    fastparquet.write(str(out / "text_fastparquet.parquet"), pandas.DataFrame({"text": TEXTS}))
    polars.DataFrame({"text": TEXTS}).write_parquet(out / "text_polars.parquet")


def write_rows(out):
    nulls = [{"text": None}, {"text": "x"}, {"text": None}]
    write_lines(out / "nulls.jsonl", nulls)
    pq.write_table(pa.Table.from_pylist(nulls), out / "nulls.parquet")
    write_lines(out / "messages.jsonl", CHATS)
    chats = pa.Table.from_pylist(CHATS, schema=CHAT_SCHEMA)
    pq.write_table(chats, out / "messages.parquet", compression="zstd")
    pq.write_table(chats, out / "messages_row_groups.parquet", row_group_size=1)
    polars.from_arrow(chats).write_parquet(out / "messages_polars.parquet", compression="zstd")
    write_lines(out / "conversations.jsonl", CONVERSATIONS)
    pq.write_table(pa.Table.from_pylist(CONVERSATIONS), out / "conversations.parquet")
    write_lines(out / "ids.jsonl", IDS)
    for name, kind in [("int32", pa.int32()), ("int64", pa.int64()), ("uint16", pa.uint16())]:
        table = pa.Table.from_pylist(IDS, schema=pa.schema([("input_ids", pa.list_(kind))]))
        pq.write_table(table, out / f"ids_{name}.parquet")
    write_named_columns(out)


def write_named_columns(out):
    """A column that only a recipe can name, beside others that JSON cannot hold."""
    texts = [f"{{\"prompt\": {i}}}" for i in range(4)]
    write_lines(out / "columns.jsonl", [{"the \"prompt\"; it's": text} for text in texts])
    pq.write_table(pa.table({
        "id": pa.array(range(4), pa.int64()),
        "the \"prompt\"; it's": texts,
        "score": [float("nan"), float("inf"), 1.0, None],
        "image": pa.array([b"\xff\xfe", b"", None, b"\x00"], pa.binary()),
    }), out / "columns.parquet")


def write_unusable(out):
    table = pa.table({"text": TEXTS})
    pq.write_table(table.slice(0, 0), out / "bad_no_rows.parquet")
    pq.write_table(pa.table({"Text": ["x"], "y": [1]}), out / "bad_no_column.parquet")
    pq.write_table(pa.table({"text": pa.array([b"ok", b"\xff\xfe"], pa.binary())}),
                   out / "bad_not_utf8.parquet", store_schema=False)
    write_encrypted(table, out)
    pq.write_table(table, out / "whole.parquet", compression="zstd", use_dictionary=False)
    whole = (out / "whole.parquet").read_bytes()
    (out / "whole.parquet").unlink()
    (out / "bad_half.parquet").write_bytes(whole[:len(whole) // 2])
    (out / "bad_no_end.parquet").write_bytes(whole[:-1])
    (out / "bad_only_magic.parquet").write_bytes(b"PAR1")
    page = whole.index(b"\x28\xb5\x2f\xfd")
    (out / "bad_page.parquet").write_bytes(whole[:page + 8] + bytes(40) + whole[page + 48:])
    (out / "bad_footer.parquet").write_bytes(whole[:-60] + b"\xff" * 40 + whole[-20:])


class PlainKms(pe.KmsClient):
    def __init__(self, _config):
        pe.KmsClient.__init__(self)

    def wrap_key(self, key, _master):
        return base64.b64encode(key)

    def unwrap_key(self, key, _master):
        return base64.b64decode(key)


def write_encrypted(table, out):
    factory = pe.CryptoFactory(PlainKms)
    for name, plain in [("bad_encrypted", False), ("bad_encrypted_column", True)]:
        config = pe.EncryptionConfiguration(footer_key="k", column_keys={"k": ["text"]},
                                            plaintext_footer=plain)
        properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), config)
        with pq.ParquetWriter(out / f"{name}.parquet", table.schema,
                              encryption_properties=properties) as writer:
            writer.write_table(table)


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    write_texts(directory)
    write_rows(directory)
    write_unusable(directory)
