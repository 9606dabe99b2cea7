"""An HTTP server and its client on loopback."""
import http.server
import json
import threading
import urllib.error
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
            return
        body = json.dumps({"path": self.path, "from": self.client_address[1]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
port = server.server_address[1]
thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
thread.start()
for i in range(5):
    with urllib.request.urlopen("http://127.0.0.1:%d/page%d" % (port, i)) as answer:
        print(answer.status, json.load(answer)["path"])
try:
    urllib.request.urlopen("http://127.0.0.1:%d/missing" % port)
except urllib.error.HTTPError as error:
    print(error.code)
server.shutdown()
thread.join()
server.server_close()
print("port was", port)
