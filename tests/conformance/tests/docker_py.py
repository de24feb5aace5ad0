"""What users of the Python client do every day, judged by their own library."""
import docker

client = docker.from_env()
assert client.ping()
assert client.version()["ApiVersion"] >= "1.40"
assert client.info()["Containers"] == 0

assert client.containers.run("busybox", "echo hello", remove=True) == b"hello\n"
assert client.containers.run("busybox", ["sh", "-c", "echo err >&2"], stderr=True, stdout=False, remove=True) == b"err\n"
try:
    client.containers.run("busybox", "false", remove=True)
    raise SystemExit("a failing command must raise")
except docker.errors.ContainerError as error:
    assert error.exit_status == 1
try:
    client.containers.run("absent", "true")
    raise SystemExit("a missing image must raise")
except docker.errors.DockerException:
    pass

box = client.containers.run(
    "busybox", ["sh", "-c", "echo one; sleep 1000"], detach=True, name="box", labels={"k": "v"},
    environment={"A": "b"}, mem_limit="64m", ports={"80/tcp": 18600}, volumes={"vol": {"bind": "/v", "mode": "rw"}},
)
box.reload()
assert box.status == "running", box.status
assert box.attrs["HostConfig"]["Memory"] == 64 << 20
assert box.ports["80/tcp"][0]["HostPort"] == "18600", box.ports
code, output = box.exec_run(["sh", "-c", "echo $A; exit 4"])
assert (code, output) == (4, b"b\n"), (code, output)
code, streams = box.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True)
assert streams == (b"o\n", b"e\n"), streams
assert box.logs() == b"one\n"
assert [c.name for c in client.containers.list(filters={"label": "k=v"})] == ["box"]
assert "sleep 1000" in str(box.top())
stats = box.stats(stream=False)
assert stats["memory_stats"]["limit"] == 64 << 20, stats["memory_stats"]
box.pause()
box.reload()
assert box.status == "paused"
box.unpause()
box.rename("crate")
box.restart(timeout=0)
box.stop(timeout=0)
assert box.wait()["StatusCode"] == 137
box.start()
socket = box.attach_socket(params={"stdout": 1, "stream": 1})
socket.close()
box.kill()
box.wait()
box.remove()
client.volumes.get("vol").remove()
assert client.images.get("busybox").tags == ["busybox:latest"]
assert client.images.get("busybox").tag("copy", "1")
client.images.remove("copy:1")
try:
    client.containers.get("box")
    raise SystemExit("a removed container must not be found")
except docker.errors.NotFound:
    pass
print("all done")
