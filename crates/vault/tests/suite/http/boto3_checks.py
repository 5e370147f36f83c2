"""Checks the vault with boto3, a client that shares no code with it.

Environment: VAULT_ENDPOINT, VAULT_ACCESS_KEY, VAULT_SECRET_KEY and, where the
vault's folder can be looked into, VAULT_FOLDER. Prints a line for each check;
exits with 1 at the first that fails.
"""

import base64
import datetime
import hashlib
import io
import os
import sys
import zlib

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["VAULT_ENDPOINT"]
FOLDER = os.environ.get("VAULT_FOLDER")
BUCKET = "database-backup-254"
MIB = 1 << 20


def client(secret=None, **config):
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="eu-central-1",
        aws_access_key_id=os.environ["VAULT_ACCESS_KEY"],
        aws_secret_access_key=secret or os.environ["VAULT_SECRET_KEY"],
        config=Config(
            s3={"addressing_style": "path"}, retries={"max_attempts": 1}, **config
        ),
    )


s3 = client()


def check(what, condition, detail=""):
    print(("ok   " if condition else "FAIL ") + what, detail if not condition else "")
    if not condition:
        sys.exit(1)


def same(what, found, expected):
    check(what, found == expected, f"found {found!r}, expected {expected!r}")


def refused(what, code, call, status=None):
    try:
        call()
    except ClientError as error:
        same(what, error.response["Error"]["Code"], code)
        if status:
            found = error.response["ResponseMetadata"]["HTTPStatusCode"]
            same(what + ", status", found, status)
        return error.response
    check(what, False, "was not refused")


def put(key, body, **more):
    return s3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def get(key, **more):
    return s3.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()


def plain(key):
    with open(os.path.join(FOLDER, BUCKET, key), "rb") as file:
        return file.read()


def versions(**more):
    """All versions and markers over all pages: (key, id, is latest, is marker)."""
    found, marker = [], {}
    while True:
        page = s3.list_object_versions(Bucket=BUCKET, **more, **marker)
        for version in page.get("Versions", []):
            found.append((version["Key"], version["VersionId"], version["IsLatest"], False))
        for version in page.get("DeleteMarkers", []):
            found.append((version["Key"], version["VersionId"], version["IsLatest"], True))
        if not page["IsTruncated"]:
            return found
        marker = {"KeyMarker": page["NextKeyMarker"]}
        if "NextVersionIdMarker" in page:
            marker["VersionIdMarker"] = page["NextVersionIdMarker"]


def check_buckets():
    refused("a bucket that is not there", "404", lambda: s3.head_bucket(Bucket=BUCKET))
    s3.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    refused(
        "making it twice", "BucketAlreadyOwnedByYou", lambda: s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        ), 409,
    )
    s3.head_bucket(Bucket=BUCKET)
    s3.get_bucket_location(Bucket=BUCKET)
    check("it is listed", BUCKET in [b["Name"] for b in s3.list_buckets()["Buckets"]])
    check("versioning was never enabled", "Status" not in s3.get_bucket_versioning(Bucket=BUCKET))


def check_unversioned():
    first = put("u", b"one")
    check("no version id without versioning", "VersionId" not in first)
    put("u", b"two")
    same("overwritten", get("u"), b"two")
    same("as the null version", get("u", VersionId="null"), b"two")
    same("only one version", len(versions(Prefix="u")), 1)
    s3.delete_object(Bucket=BUCKET, Key="u")
    refused("deleted for good", "NoSuchKey", lambda: get("u"), 404)
    same("nothing is left", versions(Prefix="u"), [])
    put("kept", b"null one")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    same("enabled", s3.get_bucket_versioning(Bucket=BUCKET)["Status"], "Enabled")
    put("kept", b"two")
    same("the null version lives on", get("kept", VersionId="null"), b"null one")


def check_versions():
    key = "Büro/Rechnung 1+2%.csv"
    ids = [put(key, body)["VersionId"] for body in (b"one", b"two", b"three")]
    same("three ids", len(set(ids)), 3)
    for version, body in zip(ids, (b"one", b"two", b"three")):
        same("each is there", get(key, VersionId=version), body)
    if FOLDER:
        same("the newest is a plain file", plain(key), b"three")
    marker = s3.delete_object(Bucket=BUCKET, Key=key)
    check("deleting sets a marker", marker["DeleteMarker"])
    gone = refused("then it is gone", "NoSuchKey", lambda: get(key), 404)
    headers = gone["ResponseMetadata"]["HTTPHeaders"]
    same("and says why", headers.get("x-amz-delete-marker"), "true")
    same("with the marker's id", headers.get("x-amz-version-id"), marker["VersionId"])
    by_id = refused(
        "a marker cannot be got", "MethodNotAllowed",
        lambda: get(key, VersionId=marker["VersionId"]), 405,
    )
    same("as a marker", by_id["ResponseMetadata"]["HTTPHeaders"].get("x-amz-delete-marker"), "true")
    refused(
        "nor looked at", "405",
        lambda: s3.head_object(Bucket=BUCKET, Key=key, VersionId=marker["VersionId"]), 405,
    )
    refused("an unknown version", "NoSuchVersion", lambda: get(key, VersionId="0" * 32), 404)
    expected = [(key, i, False, False) for i in reversed(ids)]
    expected.append((key, marker["VersionId"], True, True))
    same("history, newest first", versions(Prefix=key), expected)
    if FOLDER:
        check("no plain file", not os.path.exists(os.path.join(FOLDER, BUCKET, key)))
    removed = s3.delete_object(Bucket=BUCKET, Key=key, VersionId=marker["VersionId"])
    check("removing the marker says so", removed["DeleteMarker"])
    same("and undeletes", get(key), b"three")
    s3.delete_object(Bucket=BUCKET, Key=key, VersionId=ids[1])
    refused("a removed version", "NoSuchVersion", lambda: get(key, VersionId=ids[1]))
    same("the others stay", get(key, VersionId=ids[0]), b"one")


def check_suspended():
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    same("null id when suspended", put("s", b"one")["VersionId"], "null")
    put("s", b"two")
    same("null is replaced", len(versions(Prefix="s")), 1)
    marker = s3.delete_object(Bucket=BUCKET, Key="s")
    same("a null marker", (marker["DeleteMarker"], marker["VersionId"]), (True, "null"))
    same("in place of the object", versions(Prefix="s"), [("s", "null", True, True)])
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})


def check_headers():
    sent = dict(
        ContentType="text/csv", ContentEncoding="gzip", CacheControl="max-age=1",
        ContentDisposition='attachment; filename="x"', ContentLanguage="de-DE",
    )
    expires = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    put("h", b"x", Metadata={"kw-mtime": "17", "other": "a b"}, Expires=expires, **sent)
    for name, answer in (("GET", s3.get_object(Bucket=BUCKET, Key="h")), ("HEAD", s3.head_object(Bucket=BUCKET, Key="h"))):
        for header, value in sent.items():
            same(f"{name} gives {header} back", answer[header], value)
        same(f"{name} gives metadata back", answer["Metadata"], {"kw-mtime": "17", "other": "a b"})
        same(f"{name} has the length", answer["ContentLength"], 1)
        same(f"{name} has Expires", answer["ExpiresString"], "Wed, 02 Jan 2030 03:04:05 GMT")
    put("h2", b"x")
    same("the default type", s3.head_object(Bucket=BUCKET, Key="h2")["ContentType"], "binary/octet-stream")
    check("no encoding of its own", "ContentEncoding" not in s3.head_object(Bucket=BUCKET, Key="h2"))
    over = s3.get_object(Bucket=BUCKET, Key="h", ResponseContentType="text/plain")
    same("overridden", over["ContentType"], "text/plain")
    refused("too much metadata", "MetadataTooLarge", lambda: put("m", b"", Metadata={"a": "x" * 2048}))


def check_conditions():
    etag = put("c", b"0123456789")["ETag"]
    same("the ETag is the MD5", etag, '"%s"' % hashlib.md5(b"0123456789").hexdigest())
    for span, expected in (("bytes=0-0", b"0"), ("bytes=7-", b"789"), ("bytes=-2", b"89"), ("bytes=8-99", b"89")):
        answer = s3.get_object(Bucket=BUCKET, Key="c", Range=span)
        same(f"range {span}", answer["Body"].read(), expected)
        same(f"range {span}, status", answer["ResponseMetadata"]["HTTPStatusCode"], 206)
    same("content range", s3.get_object(Bucket=BUCKET, Key="c", Range="bytes=2-3")["ContentRange"], "bytes 2-3/10")
    refused("a range outside", "InvalidRange", lambda: get("c", Range="bytes=10-"), 416)
    refused("If-Match", "PreconditionFailed", lambda: get("c", IfMatch='"x"'), 412)
    refused("If-None-Match", "304", lambda: get("c", IfNoneMatch=etag), 304)
    same("If-Match, right", get("c", IfMatch=etag), b"0123456789")
    modified = s3.head_object(Bucket=BUCKET, Key="c")["LastModified"]
    refused("If-Modified-Since", "304", lambda: get("c", IfModifiedSince=modified), 304)
    before = modified - datetime.timedelta(seconds=10)
    refused("If-Unmodified-Since", "PreconditionFailed", lambda: get("c", IfUnmodifiedSince=before), 412)
    refused("put only if absent", "PreconditionFailed", lambda: put("c", b"x", IfNoneMatch="*"), 412)
    refused("put only on an ETag", "PreconditionFailed", lambda: put("c", b"x", IfMatch='"x"'), 412)
    put("c", b"new", IfMatch=etag)
    refused("put on what is not there", "NoSuchKey", lambda: put("c/none", b"x", IfMatch=etag), 404)
    put("c/first", b"x", IfNoneMatch="*")


def check_digests():
    body = b"the quick brown fox"
    sha256 = base64.b64encode(hashlib.sha256(body).digest()).decode()
    crc32 = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    sha1 = base64.b64encode(hashlib.sha1(body).digest()).decode()
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    for name, value in (("ChecksumSHA256", sha256), ("ChecksumCRC32", crc32), ("ChecksumSHA1", sha1)):
        same(f"{name} is taken", put("d", body, **{name: value})[name], value)
        head = s3.head_object(Bucket=BUCKET, Key="d", ChecksumMode="ENABLED")
        same(f"{name} is given back", head[name], value)
        check(f"{name} only when asked", name not in s3.head_object(Bucket=BUCKET, Key="d"))
        wrong = ("A" if value[0] != "A" else "B") + value[1:]
        refused(f"a wrong {name}", "BadDigest", lambda: put("d/wrong", body, **{name: wrong}), 400)
    put("d", body, ContentMD5=md5)
    other = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    refused("a wrong Content-MD5", "BadDigest", lambda: put("d/wrong", body, ContentMD5=other), 400)
    refused("an impossible Content-MD5", "InvalidDigest", lambda: put("d/wrong", body, ContentMD5="eA=="), 400)
    refused("nothing was stored", "404", lambda: s3.head_object(Bucket=BUCKET, Key="d/wrong"))
    put("d", body, ChecksumAlgorithm="SHA256")
    head = s3.head_object(Bucket=BUCKET, Key="d", ChecksumMode="ENABLED")
    same("an asked-for algorithm", head["ChecksumSHA256"], sha256)
    # A body that cannot be read twice goes out with a checksum behind it.
    class Once(io.BytesIO):
        pass
    put("d/stream", Once(body * 1000), ChecksumAlgorithm="SHA1")
    same("a streamed body", get("d/stream"), body * 1000)
    check("without the transfer's encoding", "ContentEncoding" not in s3.head_object(Bucket=BUCKET, Key="d/stream"))


def check_keys():
    odd = ["a", "a/", "a/b", "a//b", "./x", "../x", "A", "ü/é", "x" * 300, "n" * 1024,
           "p?q#r&s=t", "back\\slash", "co:lon", "nul", "tab\tkey", "100%", "%41", "quote'\"<>"]
    for key in odd:
        put("odd/" + key if len(key) < 1000 else key, key.encode())
    for key in odd:
        same(f"key {key[:20]!r}", get("odd/" + key if len(key) < 1000 else key), key.encode())
    listed = [o["Key"] for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="odd/", PaginationConfig={"PageSize": 3}) for o in page["Contents"]]
    expected = sorted(("odd/" + key for key in odd if len(key) < 1000), key=lambda k: k.encode())
    same("all listed, in byte order", listed, expected)
    refused("a key too long", "KeyTooLongError", lambda: put("k" * 1025, b""), 400)
    if FOLDER:
        check("none left the folder", not os.path.exists(os.path.join(FOLDER, "x")))


def check_listing():
    for n in range(7):
        put(f"list/d{n % 3}/f{n}", b"x" * n)
    put("list/top", b"")
    for paginator in ("list_objects", "list_objects_v2"):
        prefixes, keys = [], []
        for page in s3.get_paginator(paginator).paginate(
            Bucket=BUCKET, Prefix="list/", Delimiter="/", PaginationConfig={"PageSize": 1}
        ):
            prefixes += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
            keys += [o["Key"] for o in page.get("Contents", [])]
        same(f"{paginator} with a delimiter", (prefixes, keys), (["list/d0/", "list/d1/", "list/d2/"], ["list/top"]))
    page = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", StartAfter="list/d1/f1", MaxKeys=2)
    same("start after", [o["Key"] for o in page["Contents"]], ["list/d1/f4", "list/d2/f2"])
    same("key count", (page["KeyCount"], page["IsTruncated"]), (2, True))
    page = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", MaxKeys=0)
    same("no keys asked for", (page["KeyCount"], page["IsTruncated"]), (0, False))
    refused("a foreign token", "InvalidArgument", lambda: s3.list_objects_v2(Bucket=BUCKET, ContinuationToken="?"))
    for n in range(5):
        put("list/top", b"%d" % n)
    s3.delete_object(Bucket=BUCKET, Key="list/d0/f0")
    whole = versions(Prefix="list/")
    for size in (1, 2, 3):
        same(f"versions in pages of {size}", sorted(versions(Prefix="list/", MaxKeys=size)), sorted(whole))
    same("one latest per key", sum(latest for _, _, latest, _ in whole), 8)
    rolled = s3.list_object_versions(Bucket=BUCKET, Prefix="list/", Delimiter="/", MaxKeys=3)
    same("versions with a delimiter", [p["Prefix"] for p in rolled["CommonPrefixes"]], ["list/d0/", "list/d1/", "list/d2/"])
    same("next key marker", rolled["NextKeyMarker"], "list/d2/")


def check_copies():
    old = put("copy/a", b"old", Metadata={"m": "1"}, ContentType="text/csv")["VersionId"]
    put("copy/a", b"new")
    source = {"Bucket": BUCKET, "Key": "copy/a", "VersionId": old}
    copied = s3.copy_object(Bucket=BUCKET, Key="copy/ä b", CopySource=source)
    same("the source's version", copied["CopySourceVersionId"], old)
    head = s3.head_object(Bucket=BUCKET, Key="copy/ä b")
    same("metadata comes along", (head["Metadata"], head["ContentType"]), ({"m": "1"}, "text/csv"))
    same("and the bytes", get("copy/ä b"), b"old")
    s3.copy_object(Bucket=BUCKET, Key="copy/ä b", CopySource=source, MetadataDirective="REPLACE", Metadata={"n": "2"})
    same("or is replaced", s3.head_object(Bucket=BUCKET, Key="copy/ä b")["Metadata"], {"n": "2"})
    here = {"Bucket": BUCKET, "Key": "copy/a"}
    refused("onto itself", "InvalidRequest", lambda: s3.copy_object(Bucket=BUCKET, Key="copy/a", CopySource=here), 400)
    s3.copy_object(Bucket=BUCKET, Key="copy/a", CopySource=source)
    same("an old version made new", get("copy/a"), b"old")
    refused("from nothing", "NoSuchKey", lambda: s3.copy_object(
        Bucket=BUCKET, Key="copy/b", CopySource={"Bucket": BUCKET, "Key": "copy/none"}))
    refused("from no bucket", "NoSuchBucket", lambda: s3.copy_object(
        Bucket=BUCKET, Key="copy/b", CopySource={"Bucket": "no-such-bucket", "Key": "copy/none"}))


def check_multipart():
    key = "multi/part"
    for checksum in (None, "CRC32", "SHA256", "CRC64NVME", "CRC32C"):
        if checksum in ("CRC64NVME", "CRC32C"):
            try:
                import awscrt  # noqa: F401
            except ImportError:
                continue
        begin = dict(Bucket=BUCKET, Key=key, Metadata={"k": "v"})
        if checksum:
            begin["ChecksumAlgorithm"] = checksum
        upload = s3.create_multipart_upload(**begin)["UploadId"]
        where = dict(Bucket=BUCKET, Key=key, UploadId=upload)
        bodies = {2: b"b" * (5 * MIB), 1: b"a" * (5 * MIB), 7: b"c" * 10}
        parts = []
        for number, body in bodies.items():
            more = {"ChecksumAlgorithm": checksum} if checksum else {}
            sent = s3.upload_part(**where, PartNumber=number, Body=body, **more)
            entry = {"PartNumber": number, "ETag": sent["ETag"]}
            if checksum and f"Checksum{checksum}" in sent:
                entry[f"Checksum{checksum}"] = sent[f"Checksum{checksum}"]
            parts.append(entry)
        uploads = s3.list_multipart_uploads(Bucket=BUCKET, Prefix="multi/")["Uploads"]
        same("the upload is listed", [u["UploadId"] for u in uploads], [upload])
        listed = s3.list_parts(**where, MaxParts=2)
        same("parts in order", [p["PartNumber"] for p in listed["Parts"]], [1, 2])
        rest = s3.list_parts(**where, PartNumberMarker=listed["NextPartNumberMarker"])
        same("the rest of them", [p["PartNumber"] for p in rest["Parts"]], [7])
        complete = lambda list: s3.complete_multipart_upload(**where, MultipartUpload={"Parts": list})
        refused("parts out of order", "InvalidPartOrder", lambda: complete(parts), 400)
        ordered = sorted(parts, key=lambda p: p["PartNumber"])
        refused("a small part in between", "EntityTooSmall", lambda: small_between(where, ordered), 400)
        wrong = [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}]
        refused("a wrong ETag", "InvalidPart", lambda: complete(wrong), 400)
        refused("a part that never came", "InvalidPart", lambda: complete(ordered + [{"PartNumber": 9, "ETag": ordered[0]["ETag"]}]), 400)
        done = complete(ordered)
        whole = bodies[1] + bodies[2] + bodies[7]
        digests = b"".join(hashlib.md5(bodies[n]).digest() for n in (1, 2, 7))
        same("the ETag of the parts", done["ETag"], '"%s-3"' % hashlib.md5(digests).hexdigest())
        check("a version", "VersionId" in done)
        same("the whole", get(key), whole)
        if FOLDER:
            same("as a plain file", plain(key), whole)
        if checksum == "SHA256":
            sums = b"".join(hashlib.sha256(bodies[n]).digest() for n in (1, 2, 7))
            expected = base64.b64encode(hashlib.sha256(sums).digest()).decode() + "-3"
            head = s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
            same("the checksum of checksums", (head["ChecksumSHA256"], head["ChecksumType"]), (expected, "COMPOSITE"))
        third = s3.get_object(Bucket=BUCKET, Key=key, PartNumber=3)
        same("part 3", (third["Body"].read(), third["PartsCount"]), (bodies[7], 3))
        same("completing twice is one version", complete(ordered)["VersionId"], done["VersionId"])


def small_between(where, ordered):
    """Upload a small part before the last and try to complete."""
    sent = s3.upload_part(**where, PartNumber=3, Body=b"small")
    small = {"PartNumber": 3, "ETag": sent["ETag"]}
    list = [ordered[0], small, ordered[2]]
    return s3.complete_multipart_upload(**where, MultipartUpload={"Parts": list})


def check_part_copies():
    put("multi/source", b"0123456789" * MIB)
    source = {"Bucket": BUCKET, "Key": "multi/source"}
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="multi/copied")["UploadId"]
    where = dict(Bucket=BUCKET, Key="multi/copied", UploadId=upload)
    parts = []
    for number, span in ((1, f"bytes=10-{5 * MIB + 9}"), (2, "bytes=0-2")):
        sent = s3.upload_part_copy(**where, PartNumber=number, CopySource=source, CopySourceRange=span)
        parts.append({"PartNumber": number, "ETag": sent["CopyPartResult"]["ETag"]})
    refused("a range outside the source", "InvalidRange", lambda: s3.upload_part_copy(
        **where, PartNumber=3, CopySource=source, CopySourceRange=f"bytes=0-{20 * MIB}"))
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    same("copied parts", get("multi/copied"), (b"0123456789" * MIB)[10 : 5 * MIB + 10] + b"012")
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="multi/aborted")["UploadId"]
    where = dict(Bucket=BUCKET, Key="multi/aborted", UploadId=upload)
    s3.upload_part(**where, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(**where)
    refused("an aborted upload", "NoSuchUpload", lambda: s3.upload_part(**where, PartNumber=2, Body=b"x"), 404)
    refused("aborting twice", "NoSuchUpload", lambda: s3.abort_multipart_upload(**where), 404)
    outside = dict(Bucket=BUCKET, Key="multi/aborted", UploadId="../../../x")
    refused("an upload id that is a path", "NoSuchUpload", lambda: s3.upload_part(**outside, PartNumber=1, Body=b"x"), 404)


def check_signatures():
    wrong = client(secret="not the secret")
    refused("a wrong secret", "SignatureDoesNotMatch", lambda: wrong.list_buckets(), 403)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "h2"}, ExpiresIn=60)
    import urllib.request
    same("a presigned URL", urllib.request.urlopen(url).read(), b"x")


def check_end():
    refused("a full bucket", "BucketNotEmpty", lambda: s3.delete_bucket(Bucket=BUCKET), 409)
    while True:
        page = s3.list_object_versions(Bucket=BUCKET, MaxKeys=100)
        every = page.get("Versions", []) + page.get("DeleteMarkers", [])
        if not every:
            break
        objects = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in every]
        answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects, "Quiet": True})
        check("removed without errors", "Errors" not in answer, answer.get("Errors"))
    if FOLDER:
        same("no plain file is left", os.listdir(os.path.join(FOLDER, BUCKET)), [])
    s3.delete_bucket(Bucket=BUCKET)
    refused("the bucket is gone", "NoSuchBucket", lambda: get("h2"), 404)


for step in (
    check_buckets, check_unversioned, check_versions, check_suspended, check_headers,
    check_conditions, check_digests, check_keys, check_listing, check_copies,
    check_multipart, check_part_copies, check_signatures, check_end,
):
    step()
print("all checks passed")
