"""An ICE peer made of aioice. It uses the signalling of `portolan ice --format json` on its standard streams.

One message is of this script alone: the field `iceTransportPolicy` of `start` may be `relay`, which needs the first of
`iceServers` to be a TURN server on a literal address. Candidates are not trickled. The host address is 127.0.0.1,
which aioice itself would not use.
"""

import asyncio
import json
import re
import sys

import aioice
import aioice.ice

TAG = b"\xf0PT1"

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


def tell(**message):
    print(json.dumps(message), flush=True)


def connection(start):
    """Returns a connection for a `start` message. The offerer is controlling."""
    options = {}
    if servers := start.get("iceServers"):
        host, port = re.fullmatch(r"turn:([\d.]+):(\d+)(?:\?.*)?", servers[0]["urls"]).groups()
        options = {
            "turn_server": (host, int(port)),
            "turn_username": servers[0]["username"],
            "turn_password": servers[0]["credential"],
        }
    if start.get("iceTransportPolicy") == "relay":
        options["transport_policy"] = aioice.TransportPolicy.RELAY
    return aioice.Connection(ice_controlling=start["role"] == "offer", **options)


def write(ice):
    """Returns a description with one data channel section and all candidates."""
    candidates = [f"a=candidate:{candidate.to_sdp()}" for candidate in ice.local_candidates]
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        f"a=ice-ufrag:{ice.local_username}",
        f"a=ice-pwd:{ice.local_password}",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "a=sctp-port:5000",
        *candidates,
        "a=end-of-candidates",
    ]
    return "".join(line + "\r\n" for line in lines)


async def read(ice, sdp):
    """Takes the credentials and the candidates of a description."""
    ice.remote_username = re.search(r"^a=ice-ufrag:(\S+)", sdp, re.M)[1]
    ice.remote_password = re.search(r"^a=ice-pwd:(\S+)", sdp, re.M)[1]
    for candidate in re.findall(r"^a=candidate:(.*?)\r?$", sdp, re.M):
        await ice.add_remote_candidate(aioice.Candidate.from_sdp(candidate))
    if re.search(r"^a=end-of-candidates", sdp, re.M):
        await ice.add_remote_candidate(None)


async def run(ice):
    """Connects, and reports the texts of the peer."""
    tell(type="state", ice="checking")
    try:
        await ice.connect()
    except ConnectionError as why:
        tell(type="state", ice="failed", why=str(why))
        return
    tell(type="state", ice="completed")
    while True:
        data = await ice.recv()
        if data.startswith(TAG):
            tell(type="message", data=data[len(TAG) :].decode())


async def main():
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ice = task = None
    while line := await reader.readline():
        message = json.loads(line)
        match message["type"]:
            case "start":
                ice = connection(message)
                await ice.gather_candidates()
                if message["role"] == "offer":
                    tell(type="offer", sdp=write(ice))
            case "offer":
                await read(ice, message["sdp"])
                tell(type="answer", sdp=write(ice))
                task = asyncio.create_task(run(ice))
            case "answer":
                await read(ice, message["sdp"])
                task = asyncio.create_task(run(ice))
            case "candidate":
                text = message["candidate"].removeprefix("candidate:")
                await ice.add_remote_candidate(aioice.Candidate.from_sdp(text))
            case "end-of-candidates":
                await ice.add_remote_candidate(None)
            case "send":
                await ice.send(TAG + message["data"].encode())
            case "stop":
                break
    if task:
        task.cancel()
    if ice:
        await ice.close()


asyncio.run(main())
