"""What curl does with the options of docs/api.md's example, for machines that have no curl."""

import argparse
import sys
import urllib.error
import urllib.request


def main() -> int:
    """Make one request; curl's exit code 22 where the answer is a failure."""
    options = argparse.ArgumentParser(allow_abbrev=False)
    options.add_argument("url")
    options.add_argument("-s", "-S", action="store_true")
    options.add_argument("--fail-with-body", action="store_true", required=True)
    options.add_argument("-X", dest="method")
    options.add_argument("-H", dest="headers", action="append", default=[])
    data = options.add_mutually_exclusive_group()
    data.add_argument("--data")
    data.add_argument("--data-binary", choices=["@-"])
    told = options.parse_args()
    body = sys.stdin.buffer.read() if told.data_binary else (told.data or "").encode() or None
    headers = dict(header.split(": ", 1) for header in told.headers)
    request = urllib.request.Request(told.url, body, headers, method=told.method)
    # Without the proxies of the environment, which it would ask for 127.0.0.1 too.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            sys.stdout.buffer.write(answer.read())
    except urllib.error.HTTPError as refused:
        sys.stdout.buffer.write(refused.read())
        return 22
    return 0


if __name__ == "__main__":
    sys.exit(main())
