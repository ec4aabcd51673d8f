# SPDX-License-Identifier: Apache-2.0
"""What tests of handing over share: a checkpoint, a queue that is quick, and gateways that take it or hang."""
import io
import os
import socket
import zipfile

from support import Case

import tideway
from tideway import checkpoints, notes, reach, submissions


def torch_file():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("archive/data.pkl", b"x" * 100)
    return held.getvalue()


class Handing(Case):
    def setUp(self):
        super().setUp()
        self.top = self.root()
        self.own_queue()
        self.set_constant(reach, "PAUSE_MIN_S", 0.01)
        self.set_constant(submissions, "PAUSE_MIN_S", 0.01)
        self.set_constant(checkpoints, "LOOK_MIN_S", 0.001)
        self.set_constant(tideway.tickets, "LOOK_MAX_S", 0.005)
        notes.counts.clear()
        self.addCleanup(lambda: self.assertEqual(notes.counts["internal"], 0, notes.counts))

    def checkpoint(self, name="iter_0009000", shards=2):
        path = self.top / "runs/llm7" / name
        path.mkdir(parents=True, exist_ok=True)
        for shard in range(shards):
            (path / f"__{shard}_0.distcp").write_bytes(os.urandom(3000))
        (path / "common.pt").write_bytes(torch_file())
        (path / ".metadata").write_bytes(b"m")
        (path / "metadata.json").write_text("{}")
        return path

    def taking_gateway(self):
        gateway = self.gateway(self.top)
        gateway.answers["POST /v1/checkpoints"] = lambda request, body: request.reply(202, {"id": "c1", "feasible": True})
        gateway.answers["POST /v1/jobs"] = lambda request, body: request.reply(201, {"id": "j1", "state": "queued"})
        gateway.jobs["c1"] = {"id": "c1", "state": "published"}
        return gateway

    def hung_gateway(self):
        hung = socket.socket(socket.AF_UNIX)
        self.addCleanup(hung.close)
        hung.bind(str(self.folder / "api.sock"))
        hung.listen()

    def inbox_files(self):
        return sorted((self.top / ".tideway/inbox").iterdir())

    def pinned(self):
        return sorted((self.top / ".tideway/pins").iterdir())
