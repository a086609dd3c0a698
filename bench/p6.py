"""P6: large files on their way in and out.

A file is put up whole by curl, and in parts of 8 MiB, eight at once. The yardstick of the way in is what the disk
and one core make of it: cp, sync and sha256sum of the same file on the same disk. That of the way out is nginx
serving the same bytes to the same curl. Memory is the most that the server held while it took the file, above what it
held before. Where EVALBOARD_S3 names an S3 server (s3s-fs), files go to a bucket of it as well: how fast that is says
nothing of a bucket elsewhere, what memory it takes does.
"""

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from rig import Api, Server, arguments, conditions, first_line, free_address, processor_times, report, spread
from rig import start_evalboard, stolen, stop, table, verdict

MB = 1_000_000
PART = 8 * 1024 * 1024
AT_ONCE = 8
NGINX = """{user} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile on; default_type application/octet-stream;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen {address}; root {folder}; }}
}}
"""


def seconds(*command: str | Path) -> float:
    """How long a command takes that must succeed."""
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - began


def memory_mb(pid: int, name: str) -> float:
    """What a process holds (VmRSS), or the most it held since `forget` (VmHWM), in MB of 10^6 bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024 / 1e6


def forget(pid: int) -> None:
    """Let the most a process ever held be what it holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def granted(api: Api, size: int) -> dict:
    """An upload of that size: its token and address."""
    asked = {"file_name": "weights.bin", "content_type": "application/octet-stream", "file_size": size}
    api.close()  # The server may have closed a connection that idled meanwhile; this opens anew.
    return api.call("POST", f"/models/{api.model}/artifacts/request-upload", asked)


def put_whole(api: Api, file: Path) -> tuple[float, str]:
    """Put a file up with curl; the time, and the address of what came of it."""
    grant = granted(api, file.stat().st_size)
    began = time.monotonic()
    command = ["curl", "-sS", "--fail-with-body", "-T", file, "-H", f"Authorization: Bearer {grant['client_token']}"]
    done = subprocess.run([*command, grant["upload_url"]], check=True, capture_output=True, text=True)
    return time.monotonic() - began, json.loads(done.stdout)["url"]


def put_parts(api: Api, address: str, file: Path) -> float:
    """Put a file up in parts, several at once; the time."""
    grant = granted(api, size := file.stat().st_size)
    path = f"/api/blob/mpu?pathname={grant['pathname']}"
    common = {"Authorization": f"Bearer {grant['client_token']}"}

    def ask(action: str, body: bytes, **more: str) -> dict:
        headers = common | {"x-mpu-action": action} | {name.replace("_", "-"): text for name, text in more.items()}
        connection = http.client.HTTPConnection(address, timeout=120)
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{action}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    began = time.monotonic()
    begun = ask("create", b"")
    names = {"x_mpu_upload_id": begun["uploadId"], "x_mpu_key": begun["key"]}

    def send(number: int) -> dict:
        with file.open("rb") as opened:
            opened.seek((number - 1) * PART)
            etag = ask("upload", opened.read(PART), x_mpu_part_number=str(number), **names)["etag"]
        return {"partNumber": number, "etag": etag}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = list(pool.map(send, range(1, -(-size // PART) + 1)))
    ask("complete", json.dumps(parts).encode(), content_type="application/json", **names)
    return time.monotonic() - began


def yardstick(file: Path, copy: Path) -> float:
    """What the disk and one core take: a copy on disk for good, and its hash."""
    took = seconds("cp", file, copy) + seconds("sync", copy) + seconds("sha256sum", file)
    copy.unlink()
    return took


def start_nginx(stack: ExitStack, folder: Path) -> str | None:
    """Serve a folder with nginx, where there is one; its address."""
    if not shutil.which("nginx"):
        return None
    address = free_address()
    config = folder / "nginx.conf"
    # Started as root it would become somebody who may not read the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(NGINX.format(user=user, folder=folder, address=address))
    process = subprocess.Popen(["nginx", "-c", config, "-e", folder / "nginx.log"], stderr=subprocess.DEVNULL)
    stack.callback(stop, process)
    time.sleep(0.5)
    return address


def start_bucket(stack: ExitStack) -> dict[str, str] | None:
    """Start an S3 server, where there is one; the settings of a board whose files go there."""
    if not (program := os.environ.get("EVALBOARD_S3")):
        return None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="evalboard-bucket-"))
    Path(folder, "files").mkdir()
    host, _, port = free_address().partition(":")
    keys = ["--access-key", "bench", "--secret-key", "secret"]
    command = [program, "--host", host, "--port", port, *keys, folder]
    stack.callback(stop, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    time.sleep(0.5)
    return {
        "EVALBOARD_BLOB_STORE": "s3://files/bench",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }


def fetch(url: str, size: int) -> float:
    """MB per second of one curl that fetches a file."""
    began = time.monotonic()
    done = subprocess.run(
        ["curl", "-sS", "--fail", "-o", "/dev/null", "-w", "%{size_download}", url], check=True, capture_output=True, text=True
    )
    if int(done.stdout) != size:
        raise RuntimeError(f"{url}: {done.stdout} of {size} bytes")
    return size / (time.monotonic() - began) / MB


def take_in(
    args: object, server: Server, api: Api, file: Path, between: Callable[[], None] = lambda: None
) -> tuple[dict[str, list], str]:
    """Per way in, seconds and MB above idle of each round, after doing what is to be done `between` them; and the
    address of an uploaded file."""
    put_whole(api, small := file.with_name("small"))
    put_parts(api, server.address, small)
    taken, url = {"curl -T": [], "8 MiB parts, eight at once": []}, ""
    for _ in range(args.rounds):
        between()
        for way, rounds in taken.items():
            idle = memory_mb(server.pid, "VmRSS")
            forget(server.pid)
            if way == "curl -T":
                took, url = put_whole(api, file)
            else:
                took = put_parts(api, server.address, file)
            rounds.append((took, memory_mb(server.pid, "VmHWM") - idle))
            os.sync()
    return taken, url


def measure_in(args: object, server: Server, api: Api, file: Path) -> tuple[list[list[str]], str]:
    """Lines of the table on the way in, and the address of an uploaded file."""
    plain: list[float] = []
    taken, url = take_in(args, server, api, file, lambda: plain.append(yardstick(file, file.with_name("copy"))))
    size = file.stat().st_size / MB
    rows = [["cp, sync and sha256sum, MB/s", f"{size / median(plain):.0f}", spread([size / took for took in plain]), ""]]
    for way, rounds in taken.items():
        times = [took for took, _ in rounds]
        ratios = [base / took for base, took in zip(plain, times, strict=True)]
        rows.append([f"{way}, MB/s", f"{size / median(times):.0f}", spread([size / took for took in times]), ""])
        rows.append([f"{way} / yardstick", f"{median(ratios):.2f}", spread(ratios, 2), verdict(median(ratios), 0.7)])
        rows.append(memory_row(way, rounds))
    return rows, url


def memory_row(way: str, rounds: list[tuple[float, float]]) -> list[str]:
    """The line on how much memory a way in takes."""
    grown = [above for _, above in rounds]
    return [f"{way}: RSS above idle, MB", f"{max(grown):.0f}", spread(grown), verdict(max(grown), 32, at_most=True)]


def measure_bucket(args: object, stack: ExitStack, file: Path) -> list[list[str]]:
    """Lines of the table on the way in to a bucket."""
    if not (settings := start_bucket(stack)):
        return [["to a bucket", "no S3 server", "", ""]]
    server, api = start_evalboard(stack, args.evalboard, settings=settings)
    register(api)
    taken, _ = take_in(args, server, api, file)
    return [memory_row(f"{way}, to a bucket", rounds) for way, rounds in taken.items()]


def register(api: Api) -> None:
    """A model whose files these are."""
    api.model = api.call("POST", "/models", {"name": "Large", "inference_uri": "builtin:echo"})["id"]


def measure_out(args: object, url: str, nginx: str | None, file: Path) -> list[list[str]]:
    """Lines of the table on the way out."""
    size = file.stat().st_size
    ours, theirs = [], []
    for _ in range(args.rounds + 1):
        ours.append(fetch(url, size))
        if nginx:
            theirs.append(fetch(f"http://{nginx}/{file.name}", size))
    # The first of each found the disk cold.
    ours, theirs = ours[1:], theirs[1:]
    rows = [["download, MB/s", f"{median(ours):.0f}", spread(ours), ""]]
    if not theirs:
        return [*rows, ["nginx", "not installed", "", ""]]
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    rows.append(["nginx, MB/s", f"{median(theirs):.0f}", spread(theirs), ""])
    rows.append(["download / nginx", f"{median(ratios):.2f}", spread(ratios, 2), verdict(median(ratios), 0.8)])
    return rows


def main() -> None:
    """Run the benchmark."""
    args = arguments(__doc__, rounds=(3, "times each"), megabytes=(2_000, "size of the file"))
    if args.smoke:
        args.rounds, args.megabytes = 1, 20
    about, times = conditions(args), processor_times()
    with ExitStack() as stack:
        server, api = start_evalboard(stack, args.evalboard)
        folder = server.data.parent / "p6"
        folder.mkdir()
        file = folder / "weights.bin"
        with file.open("wb") as opened:
            for _ in range(args.megabytes):
                opened.write(os.urandom(MB))
        file.with_name("small").write_bytes(os.urandom(10 * MB))
        os.sync()
        register(api)
        nginx = start_nginx(stack, folder)
        rows, url = measure_in(args, server, api, file)
        rows += measure_out(args, url, nginx, file)
        with file.open("rb") as opened:
            expected = hashlib.file_digest(opened, "sha256").hexdigest()
        fetched = subprocess.run(["bash", "-c", f"curl -sS --fail '{url}' | sha256sum"], check=True, capture_output=True, text=True)
        if fetched.stdout.split()[0] != expected:
            raise RuntimeError("what came back is another file")
        rows += measure_bucket(args, stack, file)
    text = f"""## P6: a file of {args.megabytes:,} MB on its way in and out

{about}
{stolen(times)}
- {first_line("curl", "--version").partition(" (")[0]}; {first_line("nginx", "-v")}
- Speeds are of the whole command; what was put up was on disk for good when it was answered

{table(["figure", "median", "spread", "goal"], rows)}"""
    report(args, "P6", text)


if __name__ == "__main__":
    main()
