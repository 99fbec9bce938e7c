"""HTTP alone: connections, TLS, proxies and the pool that keeps connections alive.

protocol      what the engine asks of a connection
pool          connections that are kept alive
pools         those of a client
connection    the data plane: a socket, and the caller's buffer
fallback      the same by httpx, for proxies that it does not speak to

conversation  one head sent, and one received
heads         how they are written and read
plain_heads   the ordinary ones, without h11
body          bodies, into the caller's buffer

route         the way to an origin
resolver      from host names to addresses
dial          from addresses to a socket
proxies       which proxy stands between
tls           handshakes, and what is trusted
authorities   which CAs the environment names
sessions      handshakes that go on from an earlier one
wire          a connected socket, read in ticks
readiness     how much has come in already
cancellation  how one thread ends the calls of another
limit         bytes a second, for all of the process
probe         a connection that is opened to be measured
"""
