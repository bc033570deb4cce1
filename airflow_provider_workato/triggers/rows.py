"""The rows of a list as the shared poll keeps them: the state decoded, the rest compressed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from airflow_provider_workato.authorization import State, state_from
from airflow_provider_workato.client.answers import WorkatoConnection, decode_connection
from airflow_provider_workato.client.decoding import unreadable

#: How many rows are compressed together.
_BLOCK_ROWS = 128

#: If more than one row in so many differs from the previous list's at its place, rows have moved.
_FEW = 8

#: How many blocks stay decompressed, since rows of one block are often read together.
_UNPACKED_BLOCKS = 8


class ListedConnection(msgspec.Struct, gc=False, eq=False):
    """One connection of a polled list.

    A row whose bytes did not change keeps its object from one list to the next, so objects are compared by
    identity.

    :param id: the connection.
    :param state: what its status means.
    :param digest: the hash of its bytes.
    :param block: the block with its bytes.
    :param index: its position in the block.
    """

    id: int
    state: State
    digest: int
    block: Block
    index: int

    def fields(self) -> ListedFields:
        """Decode the fields that watches compare."""
        return _fields(_unpacked(self.block)[self.index])

    def connection(self) -> WorkatoConnection:
        """Decode the whole connection, without credentials.

        :raises WorkatoResponseError: if a value that was not decoded before is not JSON.
        """
        return decode_connection(_unpacked(self.block)[self.index])


class Block:
    """Compressed rows. A block lives as long as the newest list has one of its rows.

    :param raw_rows: the rows, undecoded.
    """

    __slots__ = ("_data",)

    def __init__(self, raw_rows: Sequence[msgspec.Raw]) -> None:
        # Rows are much alike: the lowest level shrinks them to a twentieth. It releases Python's global lock.
        self._data = zlib.compress(b"[" + b",".join(raw_rows) + b"]", 1)

    def rows(self) -> list[msgspec.Raw]:
        """Decompress the rows.

        :raises WorkatoResponseError: if a value is nested too deeply for the stack of the caller.
        """
        try:
            return msgspec.json.decode(zlib.decompress(self._data), type=list[msgspec.Raw])
        except RecursionError:
            raise unreadable("list_connections") from None


_unpacked = lru_cache(maxsize=_UNPACKED_BLOCKS)(Block.rows)


class ListedFields(msgspec.Struct, gc=False):
    """The fields that triggers read. Any type is accepted: Workato's answers differ from its docs."""

    id: Any = None
    authorization_status: Any = None
    authorized_at: Any = None
    connection_lost_at: Any = None
    external_id: Any = None
    folder_id: Any = None
    provider: Any = None
    application: Any = None


_FIELDS = msgspec.json.Decoder(ListedFields)


def read_rows(
    parts: Iterable[Sequence[msgspec.Raw]], before: Mapping[int, ListedConnection]
) -> dict[int, ListedConnection]:
    """Return a list's rows by id, with the same objects for unchanged rows.

    :param parts: the undecoded rows, some thousands at a time.
    :param before: the rows of the previous list.
    :raises WorkatoResponseError: if a row is not a connection.
    """
    old = list(before.values())
    rows: dict[int, ListedConnection] = {}
    known: dict[int, ListedConnection] = {}
    for raws in parts:
        # Keep 64-bit hashes instead of the bytes: a collision of two versions of a row is practically
        # impossible.
        digests = list(map(hash, map(bytes, raws)))
        same: list[ListedConnection | None] = [*old[len(rows) : len(rows) + len(raws)]]
        same += [None] * (len(raws) - len(same))
        fresh = [index for index, row in enumerate(same) if row is None or row.digest != digests[index]]
        # Usually a few rows changed in place, and the others can be taken over cheaply.
        if len(fresh) > len(raws) // _FEW:
            known = known or {row.digest: row for row in old}
            same = [known.get(digest) for digest in digests]
            fresh = [index for index, row in enumerate(same) if row is None]
        for index, row in zip(fresh, _decoded(raws, digests, fresh), strict=True):
            replaced = same[index]
            if replaced is not None and replaced.id != row.id:
                known = known or {row.digest: row for row in old}
            same[index] = known.get(row.digest, row)
        rows.update((row.id, row) for row in same if row is not None)
    return rows


def _decoded(
    raws: Sequence[msgspec.Raw], digests: Sequence[int], fresh: Sequence[int]
) -> Iterator[ListedConnection]:
    for start in range(0, len(fresh), _BLOCK_ROWS):
        indexes = fresh[start : start + _BLOCK_ROWS]
        block = Block([raws[index] for index in indexes])
        for position, index in enumerate(indexes):
            fields = _fields(raws[index])
            status = fields.authorization_status
            state = state_from(
                status=status, lost_at=fields.connection_lost_at, authorized_at=fields.authorized_at
            )
            yield ListedConnection(
                id=fields.id, state=state, digest=digests[index], block=block, index=position
            )


def _fields(raw: msgspec.Raw) -> ListedFields:
    try:
        fields = _FIELDS.decode(raw)
        if type(fields.id) is int and -(2**63) <= fields.id < 2**63:
            if fields.provider is None:
                fields.provider = fields.application
            return fields
    except (msgspec.MsgspecError, RecursionError):
        pass
    row = decode_connection(raw)
    return ListedFields(**{name: row.get(name) for name in ListedFields.__struct_fields__})
