"""A moto server for one test: serves on a free port of this machine, prints which,
and ends with its standard input.

moto recomputes the signature of a form from the parsed form, spelling a space `+`;
the Rust SDK signs and sends `%20`, as AWS allows. So it is handed the bytes that
came, and checks the signature of exactly those.
"""

import gc

# A sixth of the start of a server is looking for garbage that imports do not make.
gc.disable()

import io
import os
import sys
import threading
from urllib.parse import parse_qs

from moto.iam.access_control import IAMRequestBase
from moto.s3.models import FakeBucket, FakeKey, S3Backend
from moto.server import DomainDispatcherApplication, ThreadedMotoServer

came = threading.local()
serve = DomainDispatcherApplication.__call__
rebuild = IAMRequestBase._create_aws_request


def keep_form(self, environ, start_response):
    came.form = None
    query = parse_qs(environ.get("QUERY_STRING", ""))
    came.version = query.get("versionId", [None])[0]
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

# moto has the newest version thawed, whichever was asked for.
restore = S3Backend.restore_object


class OfVersion:
    def __init__(self, backend):
        self.backend = backend

    def get_object(self, bucket, key):
        return self.backend.get_object(bucket, key, version_id=came.version)


S3Backend.restore_object = lambda self, *wanted: restore(OfVersion(self), *wanted)

# moto keeps lifecycle rules and never follows them: here all their days are over
# as soon as they are made. Nothing but the storage class changes, as on S3.
keep_rules = FakeBucket.set_lifecycle


def follow_rules(self, rules):
    keep_rules(self, rules)
    for rule in self.rules:
        prefix = rule.prefix or (rule.filter.prefix if rule.filter else "") or ""
        for name, versions in self.keys.lists():
            if name.startswith(prefix):
                *older, newest = versions
                move([newest], rule.transitions)
                move(older, rule.noncurrent_version_transitions)


def move(versions, transitions):
    for version in versions:
        for transition in transitions or []:
            if isinstance(version, FakeKey):
                version.set_storage_class(transition.storage_class)


FakeBucket.set_lifecycle = follow_rules

gc.enable()
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.buffer.read()
os._exit(0)
