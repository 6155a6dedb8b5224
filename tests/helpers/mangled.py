"""A file of the pipeline with bytes changed before its checksum: it is read or refused, and nothing else happens.

`python mangled.py STAGE FILE COUNT` changes it as often and prints how many were read and how many refused. Each file
is read in a process of its own, because the HDF5 library ends the process on some of them if it sees them.
"""

import collections
import json
import os
import sys
import warnings
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from stored import LOADERS

from metalqr import results
from metalqr.common.checksum import LENGTH


def mangled(content: bytes, data: st.DataObject) -> bytes:
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed)))
        length = data.draw(st.integers(1, 64))
        new = {
            "flip": bytes(byte ^ data.draw(st.integers(1, 255)) for byte in changed[place : place + 1]),
            "cut": b"",
            "insert": changed[place : place + length] + data.draw(st.binary(max_size=16)),
            "zero": bytes(len(changed[place : place + length])),
            "ones": b"\xff" * len(changed[place : place + length]),
            "end": b"",
        }
        kind = data.draw(st.sampled_from(sorted(new)))
        end = {"flip": place + 1, "end": len(changed)}.get(kind, place + length)
        changed[place:end] = new[kind]
    return bytes(changed)


def outcome(stage: str, path: Path) -> str:
    """The end of a process that reads the file; a new process for each, so that no file suffers from others."""
    child = os.fork()
    if not child:
        code = 2
        try:
            LOADERS[stage](path)
            code = 0
        except results.StorageError as error:
            code = 1 if str(error).startswith(f"{path}: ") else 2
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {0: "read", 1: "refused", 2: "another error"}.get(code, "crashed")


def main(stage: str, path: Path, count: int, derandomize: bool = True) -> None:
    good, found = path.read_bytes(), collections.Counter[str]()

    @settings(max_examples=count, deadline=None, derandomize=derandomize, database=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        path.write_bytes(mangled(good[:-LENGTH], data) + good[-LENGTH:])
        end = outcome(stage, path)
        found[end] += 1
        if end not in ("read", "refused"):
            path.with_name(f"{stage}, {end}, {found[end]}").write_bytes(path.read_bytes())

    check()
    print(json.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), derandomize=len(sys.argv) == 4)
