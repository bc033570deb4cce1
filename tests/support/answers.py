"""A server that answers with given bytes, whether they are HTTP or not."""

from __future__ import annotations

import contextlib
import socket
import threading


class AnsweringServer:
    """Listens on a free port, answers each request with the bytes of ``answer``, and closes the connection.

    :ivar answer: the bytes.
    """

    def __init__(self) -> None:
        self.answer = b""
        self._line = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._line.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Close the port."""
        # Closing alone would not wake the thread that waits for a connection.
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._line.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        client.settimeout(30)
        request = b""
        while b"\r\n\r\n" not in request:
            request += client.recv(65_536) or b"\r\n\r\n"
        head, _, body = request.partition(b"\r\n\r\n")
        lengths = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        while lengths and len(body) < lengths[0] and (part := client.recv(65_536)):
            body += part
        client.sendall(self.answer)
