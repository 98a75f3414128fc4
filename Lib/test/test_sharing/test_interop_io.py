"""What Python's own libraries do with files, archives, logs and sockets of another interpreter."""

import contextlib
import csv
import io
import json
import logging
import mmap
import os
import pathlib
import pickle
import selectors
import shutil
import socket
import ssl
import tarfile
import tempfile
import threading
import unittest
import zipfile
from concurrent.interpreters import SharedObjectProxy
from test.support import TEST_HOME_DIR, threading_helper

from .support import add_directions


def made(function, /, *args, **kwargs):
    return SharedObjectProxy(function(*args, **kwargs))


def made_pair():
    return tuple(map(SharedObjectProxy, socket.socketpair()))


# What is done where the proxy is used; each returns something that crosses by itself.

def printed(file):
    print('one', 2, sep='|', end='!', file=file)
    with contextlib.redirect_stdout(file):
        print('redirected')
    return file.getvalue()


def dumped_json(file):
    json.dump({'a': [1, None, 'x'], 'b': 2.5}, file)
    file.seek(0)
    return json.load(file) == {'a': [1, None, 'x'], 'b': 2.5}


def dumped_pickle(file):
    pickle.dump({'a': [1]}, file)
    file.seek(0)
    return pickle.load(file) == {'a': [1]}


def copied(file):
    source = io.BytesIO(bytes(range(256)) * 300)
    shutil.copyfileobj(source, file)
    file.seek(0)
    target = io.BytesIO()
    shutil.copyfileobj(file, target)
    return target.getvalue() == source.getvalue()


def zipped(file):
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('a.txt', 'a' * 1000)
    with zipfile.ZipFile(file) as archive:
        return archive.testzip(), archive.read('a.txt') == b'a' * 1000


def used_archive(archive):
    archive.writestr('b.txt', b'content')
    with archive.open('b.txt') as member:
        return member.read(), tuple(archive.namelist())


def tarred(file):
    with tarfile.open(fileobj=file, mode='w:gz') as archive:
        member = tarfile.TarInfo('a.txt')
        member.size = 4
        archive.addfile(member, io.BytesIO(b'text'))
    file.seek(0)
    with tarfile.open(fileobj=file) as archive:
        return tuple(archive.getnames()), archive.extractfile('a.txt').read()


def wrote_csv(file):
    writer = csv.DictWriter(file, ['a', 'b'])
    writer.writeheader()
    writer.writerow({'a': '1,5', 'b': None})
    file.seek(0)
    return tuple(tuple(row.items()) for row in csv.DictReader(file))


def wrapped_text(file):
    text = io.TextIOWrapper(file, encoding='utf-8', newline='')
    text.write('käse\n')
    text.flush()
    text.seek(0)
    line = text.readline()
    text.detach()
    return line


def logged_by_handler(handler):
    logger = logging.Logger('interop')
    logger.addHandler(handler)
    logger.warning('%s and %d', 'text', 7)
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception('failed')
    return handler.stream.getvalue().partition('Traceback')[0]


def logged_to_stream(stream):
    logger = logging.Logger('interop')
    logger.addHandler(logging.StreamHandler(stream))
    logger.error('over %s', 'there')
    return stream.getvalue()


def used_logger(logger):
    logger.warning('to %s', 'all')
    return logger.isEnabledFor(logging.DEBUG), logger.name


def used_path(path):
    (path / 'sub').mkdir()
    (path / 'sub' / 'file').write_text('content')
    with open(path / 'sub' / 'file') as file:
        return (file.read(), os.path.basename(os.fspath(path / 'sub')),
                tuple(entry.name for entry in sorted(path.iterdir())),
                pathlib.Path(path).is_dir(), tuple(name for _, names, _ in os.walk(path)
                                                   for name in names))


def read_lines(file):
    file.seek(0)
    return tuple(file), file.read(), file.closed


def used_map(memory):
    memory[0:3] = b'ABC'
    memory.seek(3)
    return memory.find(b'C'), memory.read(2), len(memory), memory[0], memory[:3]


def exchanged(left, right):
    left.sendall(b'ping')
    right.settimeout(30)
    received = right.recv(16)
    right.sendall(received.upper())
    with left.makefile('rb') as file:
        return file.read(4), left.fileno() >= 0, left.family == socket.AF_UNIX


def selected(left, right):
    with selectors.DefaultSelector() as selector:
        selector.register(right, selectors.EVENT_READ, 'readable')
        before = selector.select(0)
        left.sendall(b'x')
        return len(before), tuple(key.data for key, _ in selector.select(30))


def connected(server):
    with socket.create_connection(server.getsockname()[:2], 30) as client:
        connection, address = server.accept()
        with connection:
            client.sendall(b'hello')
            return connection.recv(5), address[:2] == client.getsockname()[:2]


def used_context(context):
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return (context.verify_mode == ssl.CERT_NONE, len(context.get_ciphers()) > 0,
            context.cert_store_stats()['x509'])


def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(TEST_HOME_DIR, 'certdata', 'keycert.pem'))
    return context


class TLSServer:
    """The server's end of a TLS connection, and the memory through which its bytes go."""

    def __init__(self):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.end = server_context().wrap_bio(self.incoming, self.outgoing, server_side=True)


def ready(step):
    """Take a step of a handshake; return whether it was the last one."""
    try:
        step()
    except ssl.SSLWantReadError:
        return False
    return True


def shook_hands(server):
    """The client's memory is the server's, the other way round."""
    context = client_context()
    used_context(context)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing)
    done = [False, False]
    while not all(done):
        done[0] = done[0] or ready(client.do_handshake)
        server.incoming.write(outgoing.read())
        done[1] = done[1] or ready(server.end.do_handshake)
        incoming.write(server.outgoing.read())
    client.write(b'hello')
    server.incoming.write(outgoing.read())
    received = server.end.read(100)
    server.end.write(b'back')
    incoming.write(server.outgoing.read())
    return received, client.read(100), client.version() == server.end.version()


def served(context, listener):
    """Serve a client with what a proxied context makes of a socket here, or of a proxied one."""
    client_end = client_context()
    used_context(client_end)

    def serve():
        with listener.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as secure:
            secure.sendall(secure.recv(5).upper())
            answers.append(secure.unwrap().fileno() >= 0)
    answers = []
    with threading_helper.start_threads([threading.Thread(target=serve)]):
        with socket.create_connection(listener.getsockname()[:2], 30) as plain:
            with client_end.wrap_socket(plain) as secure:
                secure.sendall(b'hello')
                answers.append(secure.recv(5))
                secure.unwrap()
    return sorted(answers, key=repr)


def temporary(mode):
    return tempfile.TemporaryFile(mode, encoding=None if 'b' in mode else 'utf-8')


def memory_map():
    memory = mmap.mmap(-1, 4096)
    memory.write(b'abcdef')
    return memory


def logging_handler():
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter('%(levelname)s %(message)s'))
    return handler


def temporary_path():
    return pathlib.Path(tempfile.mkdtemp())


def archive():
    return zipfile.ZipFile(io.BytesIO(), 'w')


def listening():
    return socket.create_server(('127.0.0.1', 0))


def served_here(context):
    with listening() as listener:
        return served(context, listener)


def client_context():
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


#: (what is done, how its subject is made, the arguments of that)
USES = (
    (printed, io.StringIO),
    (dumped_json, io.StringIO),
    (dumped_json, temporary, 'w+'),
    (dumped_pickle, io.BytesIO),
    (dumped_pickle, temporary, 'w+b'),
    (copied, io.BytesIO),
    (copied, temporary, 'w+b'),
    (zipped, io.BytesIO),
    (zipped, temporary, 'w+b'),
    (used_archive, archive),
    (tarred, io.BytesIO),
    (wrote_csv, io.StringIO),
    (wrote_csv, temporary, 'w+'),
    (wrapped_text, io.BytesIO),
    (logged_by_handler, logging_handler),
    (logged_to_stream, io.StringIO),
    (used_logger, logging.Logger, 'interop'),
    (read_lines, io.StringIO, 'one\ntwo\n'),
    (used_map, memory_map),
    (used_context, client_context),
    (shook_hands, TLSServer),
    (connected, listening),
)


class IOTest:
    """Each use of another interpreter's object comes to what it comes to with one's own."""

    def test_pairs_of_sockets(self):
        for use in exchanged, selected:
            with self.subTest(use.__name__):
                expected = use(*socket.socketpair())
                pair = self.owner().call(made_pair)
                self.assertEqual(self.caller().call(use, *pair), expected)

    def test_tls_on_sockets(self):
        context = self.owner().call(made, server_context)
        expected = [True, b'HELLO']
        with listening() as listener:
            self.assertEqual(served(server_context(), listener), expected)
        listener = self.owner().call(made, listening)
        self.addCleanup(listener.close)
        self.assertEqual(self.caller().call(served, context, listener), expected)
        self.assertEqual(self.caller().call(served_here, context), expected)

    def test_path(self):
        expected = None
        for place in None, self.owner():
            path = place.call(made, temporary_path) if place else temporary_path()
            self.addCleanup(shutil.rmtree, str(path))
            outcome = self.caller().call(used_path, path) if place else used_path(path)
            expected = expected or outcome
        self.assertEqual(outcome, expected)


def add_use(use, make, *args):
    def test(self):
        expected = use(make(*args))
        subject = self.owner().call(made, make, *args)
        self.assertEqual(self.caller().call(use, subject), expected)
    name = f'test_{use.__name__}_{make.__name__}'
    setattr(IOTest, name, test)


for row in USES:
    add_use(*row)

add_directions(globals(), IOTest, across=True)


if __name__ == '__main__':
    unittest.main()
