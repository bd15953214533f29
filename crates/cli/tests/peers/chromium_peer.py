"""An ICE peer made of Chromium. It uses the signalling of `portolan ice --format json` on its standard streams.

The argument is the path of Chromium. The page has one RTCPeerConnection with a data channel; with `"audio": true` in
`start` an offer has audio too. Each `state` message has the candidates and the user fragments of the selected pair.
"""

import asyncio
import json
import sys

from playwright.async_api import async_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--allow-loopback-in-peer-connection",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]

PAGE = """
let pc, channel;

function state() {
  const pair = pc.sctp?.transport?.iceTransport?.getSelectedCandidatePair();
  const side = one => one && { type: one.type, ufrag: one.usernameFragment };
  tell({ type: 'state', ice: pc.iceConnectionState, local: side(pair?.local), remote: side(pair?.remote) });
}

// The transport exists once both descriptions are set.
function watch() {
  const transport = pc.sctp?.transport?.iceTransport;
  if (transport) transport.onselectedcandidatepairchange = state;
}

async function offer(options) {
  await pc.setLocalDescription(await pc.createOffer(options));
  tell({ type: 'offer', sdp: pc.localDescription.sdp });
}

async function handle(message) {
  switch (message.type) {
    case 'start':
      pc = new RTCPeerConnection({
        iceServers: message.iceServers ?? [],
        iceTransportPolicy: message.iceTransportPolicy ?? 'all',
      });
      pc.onicecandidate = ({ candidate }) =>
        tell(candidate?.candidate ? { type: 'candidate', ...candidate.toJSON() } : { type: 'end-of-candidates' });
      pc.oniceconnectionstatechange = state;
      if (message.role === 'offer') {
        if (message.audio) pc.addTransceiver('audio');
        channel = pc.createDataChannel('trial');
        await offer({});
      }
      break;
    case 'offer':
      await pc.setRemoteDescription(message);
      await pc.setLocalDescription();
      watch();
      tell({ type: 'answer', sdp: pc.localDescription.sdp });
      break;
    case 'answer':
      await pc.setRemoteDescription(message);
      watch();
      break;
    case 'candidate':
      await pc.addIceCandidate(message);
      break;
    case 'restart':
      await offer({ iceRestart: true });
      break;
  }
}
"""


async def main():
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=sys.argv[1], args=FLAGS)
        page = await browser.new_page()
        await page.expose_function("tell", lambda message: print(json.dumps(message), flush=True))
        await page.add_script_tag(content=PAGE)
        while line := await reader.readline():
            message = json.loads(line)
            if message["type"] == "stop":
                break
            try:
                await page.evaluate("message => handle(message)", message)
            except Exception as why:  # An error of the page is a message, so that the trial can print it.
                print(json.dumps({"type": "error", "message": str(why)}), flush=True)
        await browser.close()


asyncio.run(main())
