"""jwcrypto as a client of encrypted bodies: seals requests, opens replies, and sends what must be refused.

Reads one JSON object from standard input and prints a line for each check.
"""

import json
import sys
import urllib.error
import urllib.request

from jwcrypto import jwe, jwk, jws

task = json.loads(sys.stdin.read())
servers = [jwk.JWK(**key) for key in task["servers"]]
signers = [jwk.JWK(**key) for key in task["signers"]]
clients = [jwk.JWK(**key) for key in task["clients"]]
ALL = ["ECDH-ES+A256KW", "RSA-OAEP-256", "A256GCM", "dir", "A128GCM", "ECDH-ES", "RSA1_5", "A128CBC-HS256"]


def algorithm(key):
    return "RSA-OAEP-256" if key["kty"] == "RSA" else "ECDH-ES+A256KW"


def seal(content, key, **header):
    protected = {"alg": algorithm(key), "enc": "A256GCM", "kid": key["kid"], **header}
    token = jwe.JWE(content, json.dumps(protected), algs=ALL)
    token.add_recipient(key)
    return token.serialize(compact=True)


def sign(content, key):
    token = jws.JWS(content)
    alg = {"OKP": "EdDSA", "EC": "ES256", "RSA": "PS256"}[key["kty"]]
    token.add_signature(key, None, json.dumps({"alg": alg, "kid": key["kid"]}))
    return token.serialize(compact=True).encode()


def send(path, body, accept, headers):
    fields = {"content-type": "application/jose", "accept": accept, **headers}
    request = urllib.request.Request(task["url"] + path, body.encode(), fields)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def check(name, work):
    problem = None
    try:
        problem = work()
    except Exception as error:
        problem = repr(error)
    print(json.dumps({"name": name, "problem": problem}), flush=True)


DOORS = {
    "REST": ("/test/v1/echo", {}),
    "Connect": ("/tsms.test.v1.EchoService/Echo", {"connect-protocol-version": "1"}),
}

for door, (path, headers) in DOORS.items():

    def expect(status, make, accept="*/*", open_with=None):
        def work():
            found, content = send(path, make(), accept, headers)
            if found != status:
                return f"{found} instead of {status}: {content!r}"
            if status != 200:
                return None
            if open_with is not None:
                token = jwe.JWE(algs=ALL)
                token.deserialize(content.decode(), key=open_with)
                content = token.payload
            return None if json.loads(content)["text"] == "python" else f"the answer is {content!r}"

        return work

    plain = b'{"text":"python"}'
    for server in servers:
        kid = server["kid"]
        check(f"{door}: a JWE for {kid}", expect(200, lambda: seal(plain, server)))
        for signer in signers:
            signed = lambda: seal(sign(plain, signer), server, cty="JOSE")
            check(f"{door}: a JWS of {signer['kid']} in a JWE for {kid}", expect(200, signed))
    for client in clients:
        accept = f'application/jose;kid="{client["kid"]}"'
        check(f"{door}: a reply for {client['kid']}", expect(200, lambda: seal(plain, servers[0]), accept, client))
    check(f"{door}: zip", expect(400, lambda: seal(plain, servers[0], zip="DEF")))
    check(f"{door}: A128GCM", expect(400, lambda: seal(plain, servers[0], enc="A128GCM")))
    check(f"{door}: a key that is not known", expect(400, lambda: seal(plain, servers[0], kid="nobody")))
    check(f"{door}: not encrypted", expect(400, lambda: sign(plain, signers[0]).decode()))
