"""The other side of the suite `signatures`: http-message-signatures signs requests, and verifies requests and answers.

Reads one JSON object from standard input. Modes: `client` sends requests and prints a line for each check, `server`
prints its port and verifies what comes, until standard input ends.
"""

import base64
import http.client
import http.server
import json
import sys
import threading
import urllib.parse

from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms

ALGORITHMS = {
    "ed25519": algorithms.ED25519,
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
    "rsa-pss-sha512": algorithms.RSA_PSS_SHA512,
    "hmac-sha256": algorithms.HMAC_SHA256,
}


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, key):
        self.key = key

    def resolve_private_key(self, key_id):
        return self.of("private", key_id)

    def resolve_public_key(self, key_id):
        return self.of("public", key_id)

    def of(self, part, key_id):
        if key_id != self.key["id"]:
            raise KeyError(key_id)
        if self.key["alg"] == "hmac-sha256":
            return base64.b64decode(self.key["secret"])
        return self.key[part].encode()


class Request:
    def __init__(self, method, url, headers):
        self.method, self.url, self.headers = method, url, headers


class Response:
    def __init__(self, status, headers, request):
        self.status_code, self.headers, self.request = status, headers, request


def signer(key):
    return HTTPMessageSigner(signature_algorithm=ALGORITHMS[key["alg"]], key_resolver=Keys(key))


def verifier(key):
    return HTTPMessageVerifier(signature_algorithm=ALGORITHMS[key["alg"]], key_resolver=Keys(key))


def send(request, body):
    parts = urllib.parse.urlsplit(request.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    target = parts.path + ("?" + parts.query if parts.query else "")
    connection.request(request.method, target, body=body, headers=request.headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict((name.lower(), value) for name, value in answer.getheaders()), content


def signed(key, url, body, nonce, **options):
    headers = {"content-type": "application/json"}
    request = Request("POST", url, headers)
    components = options.pop("components", ("@method", "@target-uri", "content-type"))
    given = {"key_id": key["id"], "label": "sig1", "nonce": nonce, "body": body, **options}
    signer(key).sign(request, covered_component_ids=components, **given)
    return request


def client(task):
    for key in task["keys"]:
        count = 0

        def check(name, expected, make, sent=None):
            nonlocal count
            count += 1
            body = json.dumps({"text": name}).encode()
            problem = None
            try:
                request = make(body, f"{key['alg']}-{count}")
                status, _, content = send(request, body if sent is None else sent)
                if status != expected:
                    problem = f"{status} instead of {expected}: {content!r}"
                elif status == 200 and json.loads(content)["text"] != name:
                    problem = f"the answer is {content!r}"
            except Exception as error:
                problem = repr(error)
            print(json.dumps({"name": f"{key['alg']} of Python: {name}", "problem": problem}), flush=True)

        url = task["url"]
        check("a signed call", 200, lambda body, nonce: signed(key, url, body, nonce))
        check("with a query", 200, lambda body, nonce: signed(key, url + "?number=7", body, nonce))
        check("without alg", 200, lambda body, nonce: signed(key, url, body, nonce, include_alg=False))
        more = ("@method", "@target-uri", "@authority", "@path", "@scheme", "@query", '"content-digest";key="sha-256"')
        check("with further components", 200, lambda body, nonce: signed(key, url, body, nonce, components=more))
        check("another body", 401, lambda body, nonce: signed(key, url, body, nonce), b'{"text":"other"}')
        check("no digest", 401, lambda body, nonce: signed(key, url, None, nonce))
        check("no nonce", 401, lambda body, nonce: signed(key, url, body, None))
        check("no target", 401, lambda body, nonce: signed(key, url, body, nonce, components=("@method",)))
        check("a nonce again", 401, lambda body, _: signed(key, url, body, f"{key['alg']}-1"))

        def moved(body, nonce):
            request = signed(key, url, body, nonce)
            request.url += "?x=1"
            return request

        check("another target", 401, moved)
        name, problem = f"{key['alg']} of ours: an answer", None
        try:
            headers = {"content-type": "application/json", "x-alg": key["alg"]}
            request = Request("POST", task["answers"], headers)
            status, fields, content = send(request, b"{}")
            response = Response(status, fields, request)
            [result] = verifier(key).verify(response, body=content)
            covered = sorted(result.covered_components)
            if covered != ['"@method";req', '"@signature-params"', '"@status"', '"content-digest"']:
                problem = f"covered is {covered}"
            try:
                verifier(key).verify(Response(status + 1, fields, request), body=content)
                problem = "another status is verified"
            except Exception:
                pass
        except Exception as error:
            problem = repr(error)
        print(json.dumps({"name": name, "problem": problem}), flush=True)


def server(task):
    keys = {key["id"]: key for key in task["keys"]}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            fields = dict((name.lower(), value) for name, value in self.headers.items())
            request = Request("POST", f"http://{fields['host']}{self.path}", fields)
            try:
                key = keys[fields.get("x-key", "")]
                [result] = verifier(key).verify(request, body=body)
                status, answer = 200, {"covered": sorted(result.covered_components), **result.parameters}
            except Exception as error:
                status, answer = 401, {"problem": repr(error)}
            content = json.dumps(answer, default=str).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    print(running.server_address[1], flush=True)
    sys.stdin.read()


given = json.loads(sys.stdin.readline())
{"client": client, "server": server}[given["mode"]](given)
