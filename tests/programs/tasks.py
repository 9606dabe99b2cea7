"""asyncio: tasks, streams, a child process, a thread, a timeout."""
import asyncio
import sys
import time


async def ticker(name, n, out):
    for i in range(n):
        await asyncio.sleep(0.001)
        out.append((name, i))


async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def main():
    out = []
    await asyncio.gather(*(ticker(n, 5, out) for n in "xyz"))
    print(len(out), out[:6])
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for i in range(4):
        writer.write(b"line %d\n" % i)
        print(await reader.readline())
    writer.close()
    server.close()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print('child')", stdout=asyncio.subprocess.PIPE)
    print(await process.communicate())
    print(await asyncio.to_thread(time.sleep, 0.01))
    try:
        await asyncio.wait_for(asyncio.sleep(5), 0.02)
    except asyncio.TimeoutError:
        print("timeout")


asyncio.run(main())
