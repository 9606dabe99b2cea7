"""Time travel through recordings of rdb: the interface of Perl's DB.pm, and back again.

    import rdb

    class Mine(rdb.Client):
        def stop(self, file, line):
            print(file, line)

    client = Mine()
    client.register(rdb.Debugger("latest"))
    client.set_break("total")
    client.cont()
    client.bcont()
    client.done()
"""
from .client import Client
from .debugger import Debugger, Frame, Stop
from .link import Gone, Refused

__all__ = ["Client", "Debugger", "Frame", "Gone", "Refused", "Stop"]
