"""As much of a cloud as tells whether a program in a sandbox can reach one: a DNS server and a port that takes greetings."""

import re
import socket
import threading


class Names(threading.Thread):
    """A DNS server that knows one name, on port 53 of an address that nobody else uses."""

    address = "127.19.26.7"

    def __init__(self, name):
        super().__init__(daemon=True)
        self.known, self.asked = name, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))

    def run(self):
        while True:
            try:
                question, client = self.socket.recvfrom(512)
            except OSError:
                return
            end = question.index(0, 12) + 5
            labels, at = [], 12
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode())
                at += 1 + question[at]
            asked, kind = ".".join(labels), question[end - 4:end - 2]
            self.asked.append(asked)
            known, address = asked == self.known, kind == b"\0\1"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if known and address else b""
            flags = b"\x81\x80" if known else b"\x81\x83"
            self.socket.sendto(question[:2] + flags + b"\0\1" + (b"\0\1" if answer else b"\0\0") + b"\0\0\0\0"
                               + question[12:end] + answer, client)


class Cloud:
    """Listens on loopback, and remembers for which names a TLS greeting has come."""

    def __init__(self, name):
        self.dns, self.greeted = Names(name), set()
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.port = self.socket.getsockname()[1]

    def __enter__(self):
        self.dns.start()
        threading.Thread(target=self.listen, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.dns.socket.close()

    def listen(self):
        """Reads one greeting of each connection; the name is in clear in it."""
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    greeting = connection.recv(4096)
                except OSError:
                    continue
                # A TLS record with a ClientHello.
                if greeting[:1] == b"\x16":
                    self.greeted |= {name.decode() for name in re.findall(rb"api\.[a-z]+\.example", greeting)}
