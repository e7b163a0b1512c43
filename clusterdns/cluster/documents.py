"""The text of a manifest file -> the API objects in it, one after the other, as Python values."""

from collections.abc import Iterator
from typing import BinaryIO

from clusterdns.cluster.json_documents import read_json
from clusterdns.cluster.lists import Step
from clusterdns.cluster.yaml_documents import read_yaml


def read_documents(stream: BinaryIO, file: str) -> Iterator[Step]:
    """Every object in a file of YAML documents or of JSON values, Lists taken apart.

    stream: seekable; the caller closes it.
    file: its name, for places.
    Items of a ServiceList and the like get the kind and apiVersion that the API leaves out there.
    Empty documents are passed over, as kubectl does. What is wrong with one does not hide the
    others, as far as they can be told apart.
    """
    return (read_json if _is_json(stream) else read_yaml)(stream, file)


def _is_json(stream: BinaryIO) -> bool:
    """Whether the text starts as JSON does. `{a: 1}` is YAML; JSON has its keys quoted."""
    start = stream.read(512).removeprefix(b"\xef\xbb\xbf").lstrip()
    stream.seek(0)
    return start.startswith(b"{") and start[1:].lstrip()[:1] in (b'"', b"}", b"")
