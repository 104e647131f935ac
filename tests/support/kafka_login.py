"""A proxy that requires SASL, in front of a broker that does not: PLAIN (RFC 4616), and SCRAM with
scramp. Authenticated clients are connected to the broker; others can only send ApiVersions.

LISTEN BROKER FILE     ports, and a file of JSON, read at each login: {user: password}
"""

import asyncio
import json
import struct
import sys

import scramp

API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
UNSUPPORTED_SASL_MECHANISM, SASL_AUTHENTICATION_FAILED = 33, 58


class Refused(Exception):
    pass


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


async def frame(reader):
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


def send(writer, body):
    writer.write(struct.pack(">i", len(body)) + body)


class Login:
    """One SASL exchange."""

    def __init__(self, mechanism, users):
        self.mechanism, self.users, self.is_done, self.server = mechanism, users, False, None

    def step(self, token):
        if self.mechanism == "PLAIN":
            _, user, password = token.decode().split("\0")
            if not password or self.users.get(user) != password:
                raise Refused("Invalid username or password")
            self.is_done = True
            return b""
        try:
            if self.server is None:
                mechanism = scramp.ScramMechanism(self.mechanism)
                self.server = mechanism.make_server(lambda user: mechanism.make_auth_info(
                    self.users[user], iteration_count=8192))
                self.server.set_client_first(token.decode())
                return self.server.get_server_first().encode()
            self.server.set_client_final(token.decode())
            self.is_done = True
            return self.server.get_server_final().encode()
        except (KeyError, scramp.ScramException) as error:
            raise Refused("Authentication failed during authentication due to invalid "
                          f"credentials with SASL mechanism {self.mechanism}") from error


async def let_in(reader, writer, broker_reader, broker_writer, users):
    """Answers requests until the client has authenticated; returns whether it has."""
    login = None
    while login is None or not login.is_done:
        request = await frame(reader)
        api, version, number, length = struct.unpack(">hhih", request[:10])
        rest = request[10 + max(length, 0):]
        head = struct.pack(">i", number)
        if api == API_VERSIONS:
            send(broker_writer, request)
            send(writer, await frame(broker_reader))
        elif api == SASL_HANDSHAKE:
            mechanism = rest[2:].decode()
            known = mechanism in MECHANISMS
            code = 0 if known else UNSUPPORTED_SASL_MECHANISM
            names = b"".join(string(name) for name in MECHANISMS)
            send(writer, head + struct.pack(">hi", code, len(MECHANISMS)) + names)
            login = Login(mechanism, users()) if known else None
        elif api == SASL_AUTHENTICATE and version < 2 and login is not None:
            lifetime = struct.pack(">q", 0) if version == 1 else b""
            try:
                token = login.step(rest[4:])
                answer = struct.pack(">hhi", 0, -1, len(token)) + token
            except Refused as why:
                answer = struct.pack(">h", SASL_AUTHENTICATION_FAILED) + string(str(why))
                send(writer, head + answer + struct.pack(">i", 0) + lifetime)
                await writer.drain()
                return False
            send(writer, head + answer + lifetime)
        else:
            # Brokers close the connection on any other request before authentication.
            return False
    return True


async def carry(reader, writer):
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def serve(reader, writer, broker, users):
    broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", broker)
    try:
        if await let_in(reader, writer, broker_reader, broker_writer, users):
            await asyncio.gather(
                carry(reader, broker_writer), carry(broker_reader, writer))
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
        broker_writer.close()


async def main(listen, broker, path):
    def users():
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    server = await asyncio.start_server(
        lambda reader, writer: serve(reader, writer, int(broker), users), "127.0.0.1", int(listen))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
