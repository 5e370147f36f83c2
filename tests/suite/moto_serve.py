"""A moto server for one test: serves on a free port of this machine, prints which,
and ends with its standard input.

moto recomputes the signature of a form from the parsed form, spelling a space `+`;
the Rust SDK signs and sends `%20`, as AWS allows. So it is handed the bytes that
came, and checks the signature of exactly those.
"""

import io
import os
import sys
import threading

from moto.iam.access_control import IAMRequestBase
from moto.server import DomainDispatcherApplication, ThreadedMotoServer

came = threading.local()
serve = DomainDispatcherApplication.__call__
rebuild = IAMRequestBase._create_aws_request


def keep_form(self, environ, start_response):
    came.form = None
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        came.form = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(came.form)
    return serve(self, environ, start_response)


def rebuild_as_it_came(self):
    request = rebuild(self)
    if came.form is not None:
        request.data = came.form
    return request


DomainDispatcherApplication.__call__ = keep_form
IAMRequestBase._create_aws_request = rebuild_as_it_came

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.buffer.read()
os._exit(0)
