"""An asyncio server whose requests are answered in other interpreters.

The loop of main reads requests; each awaits a coroutine of another interpreter, which counts in a
dict of main and gives back a page.  Prints the port, serves until its input ends, and tells what it
served.
"""

import asyncio
import itertools
import sys
from concurrent import interpreters
from concurrent.interpreters import SharedObjectProxy

INTERPRETERS = 2

WORKER = '''
from concurrent.interpreters import SharedObjectProxy, get_current

class Worker:
    async def answer(self, line):
        counts[get_current().id] = counts.get(get_current().id, 0) + 1
        return b'you asked ' + line

workers.append(SharedObjectProxy(Worker()))
'''


async def serve(workers):
    turns = itertools.cycle(workers)

    async def handle(reader, writer):
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                page = await next(turns).answer(line)
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b' % (len(page), page))
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, '127.0.0.1', 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)
        server.close()
        server.close_clients()


def main():
    workers, counts = [], {}
    interps = [interpreters.create() for _ in range(INTERPRETERS)]
    for interp in interps:
        interp.prepare_main(workers=SharedObjectProxy(workers), counts=SharedObjectProxy(counts))
        interp.exec(WORKER)
    asyncio.run(serve(workers))
    print(f'served {sum(counts.values())} in {len(counts)} interpreters')
    del workers[:]
    for interp in interps:
        interp.close()


if __name__ == '__main__':
    main()
