# docker-py against registries on 5000 (for everybody) and 5001 (for kim).
import docker, io, json, sys

client = docker.from_env()
api = client.api
open_, closed = "127.0.0.1:5000/py", "127.0.0.1:5001/py"

image = client.images.get("busybox")
for name in (open_, closed):
    assert image.tag(name, "1")

# push tells every step, and at the end what it pushed
told = [json.loads(line) for line in api.push(open_, "1", stream=True) for line in line.decode().splitlines()]
assert not any("error" in message for message in told), told
aux = [message["aux"] for message in told if "aux" in message]
assert len(aux) == 1 and aux[0]["Tag"] == "1" and aux[0]["Digest"].startswith("sha256:") and aux[0]["Size"] > 0, told

# what is pushed can be looked at
seen = client.images.get_registry_data(open_ + ":1")
assert seen.id == aux[0]["Digest"], (seen.id, aux)
assert seen.has_platform("linux/amd64"), seen.attrs
try:
    client.images.get_registry_data(open_ + ":absent")
    sys.exit("an absent image was seen")
except docker.errors.NotFound:
    pass

# and pulled, by tag and by digest
client.images.remove(open_ + ":1")
pulled = client.images.pull(open_, tag="1")
assert pulled.id == image.id, (pulled.id, image.id)
assert open_ + "@" + aux[0]["Digest"] in pulled.attrs["RepoDigests"], pulled.attrs["RepoDigests"]
assert client.images.pull(open_ + "@" + aux[0]["Digest"]).id == image.id
assert len(client.images.pull(open_, all_tags=True)) == 1
try:
    client.images.pull(open_, tag="absent")
    sys.exit("an absent tag was pulled")
except docker.errors.NotFound as error:
    assert "manifest" in error.explanation, error

# a registry that wants to know who asks
try:
    client.images.pull(closed, tag="1")
    sys.exit("nobody was let in")
except docker.errors.APIError as error:
    assert "no basic auth credentials" in error.explanation or "unauthorized" in error.explanation.lower(), error
try:
    client.login("kim", "wrong", registry="127.0.0.1:5001")
    sys.exit("a wrong password was taken")
except docker.errors.APIError as error:
    assert error.status_code in (401, 500), error
assert client.login("kim", "secret", registry="127.0.0.1:5001")["Status"] == "Login Succeeded"
account = {"username": "kim", "password": "secret"}
told = client.images.push(closed, tag="1", auth_config=account)
assert '"error"' not in told, told
client.images.remove(closed + ":1")
assert client.images.pull(closed, tag="1", auth_config=account).id == image.id

# archives of several images
archive = b"".join(client.images.get("busybox").save(named=True))
assert client.images.load(archive)[0].id == image.id
try:
    list(api.get_image("absent"))
    sys.exit("an absent image was saved")
except docker.errors.NotFound:
    pass
print("all done")
