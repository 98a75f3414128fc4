"""An http.server whose requests are handled in other interpreters.

Main accepts connections and hands each to a thread, which calls one of four interpreters; the
handler there answers from a cache, a dict of main behind a lock of main, or asks a database, a
connection of main.  Prints the port, serves until its input ends, and tells what it served.
"""

import http.server
import itertools
import sqlite3
import sys
import threading
from concurrent import interpreters
from concurrent.interpreters import SharedObjectProxy

ROWS = 50
INTERPRETERS = 4

HANDLER = '''
from concurrent.interpreters import SharedObjectProxy, get_current

def answer(number):
    """Return the page of a row, out of the cache or the database."""
    with lock:
        page = cache.get(number)
        if page is None:
            (name,), = database.execute('SELECT name FROM things WHERE number = ?', (number,))
            page = cache[number] = f'{number}: {name}\\n'.encode()
        counts[get_current().id] = counts.get(get_current().id, 0) + 1
    return page

shared.append(SharedObjectProxy(answer))
'''


def make_database(folder):
    database = sqlite3.connect(f'{folder}/things.db', check_same_thread=False)
    database.execute('CREATE TABLE things (number INTEGER PRIMARY KEY, name TEXT)')
    database.executemany('INSERT INTO things VALUES (?, ?)',
                         ((number, f'thing {number}') for number in range(ROWS)))
    database.commit()
    return database


def make_answers(interps, counts, database):
    """Return the function of each interpreter that answers requests."""
    answers, cache, lock = [], {}, threading.Lock()
    for interp in interps:
        interp.prepare_main(**{name: SharedObjectProxy(value) for name, value in {
            'cache': cache, 'lock': lock, 'database': database, 'counts': counts,
            'shared': answers}.items()})
        interp.exec(HANDLER)
    return answers


def main():
    database = make_database(sys.argv[1])
    interps = [interpreters.create() for _ in range(INTERPRETERS)]
    counts = {}
    turns = itertools.cycle(make_answers(interps, counts, database))
    numbers = itertools.count()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'
        disable_nagle_algorithm = True

        def do_GET(self):
            page = next(turns)(next(numbers) % ROWS)
            self.send_response(200)
            self.send_header('Content-Length', str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    server.shutdown()
    server.server_close()
    print(f'served {sum(counts.values())} in {len(counts)} interpreters')


if __name__ == '__main__':
    main()
