// Loaded before a server that listens on every interface: it listens on this machine only, and says where.
import net from "node:net";

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  this.once("listening", () => console.error(`listening on http://127.0.0.1:${this.address().port}`));
  const done = rest.find((argument) => typeof argument === "function");
  return listen.call(this, Number(port), "127.0.0.1", done);
};
