"""Image tricks: archives that a node is given by its own command. Each is refused by name, or made harmless."""
import gzip
import io
import json
import os
import stat
import tarfile
import zlib

from cases_bad_input import refused_deploy
from cases_images import SERVER, config_of, digest, docker_save, image_function, oci_layout, server_layers, tar
from node import fixture, need_root, node, wait_for
from world import ONLY_CONTAINER, check, host

GIB = 1 << 30


def zeros(size):
    """gzip of `size` zeros (whole MiB), made without compressing them all: one flushed block again and again."""
    block = bytes(1 << 20)
    packer = zlib.compressobj(9, wbits=-15)
    first = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    head, checksum = b"\x1f\x8b\x08\0\0\0\0\0\0\xff", 0
    # Of a reader that came to the end only the checksum would be wrong.
    return head + first * (size >> 20) + b"\x03\x00" + checksum.to_bytes(4, "little") + (size % (1 << 32)).to_bytes(
        4, "little")


def layer_of_zeros(size):
    """A layer with one file of `size` zeros, compressed: a tar's head, then zeros, as two gzip members."""
    info = tarfile.TarInfo("zeros")
    info.size = size
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT)) + zeros(size)


def link(target, kind=tarfile.SYMTYPE):
    return {"type": kind, "linkname": target}


def node_of(kind, major=1, minor=1):
    return {"type": kind, "devmajor": major, "devminor": minor, "mode": 0o666}


def save_with(manifest, *entries):
    """`docker save` with a manifest.json of one's own."""
    return tar(("manifest.json", manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()), *entries)


def manifest_of(config, layers):
    return [{"Config": config, "RepoTags": [], "Layers": layers}]


def pax(name, headers, content=b"x"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo(name)
        info.size, info.pax_headers = len(content), headers
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def refused(host_file):
    """name: (archive, words of the refusal)."""
    good = server_layers()
    config = config_of(good, SERVER)
    config_name = digest(config) + ".json"
    one = config_of(good[:1], SERVER)
    one_name = digest(one) + ".json"
    layout = oci_layout(good, SERVER)
    lied = dict(layout)
    blob = next(n for n, data in layout.items() if data == good[0])
    lied[blob] = good[0][:-512] + bytes(511) + b"x"
    away = f"../../../../../../..{host_file}"
    looped = dict(layout)
    looped["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:" + "0" * 64, "size": 1}]}).encode()
    return {
        "dotdot": (docker_save([tar(("../../escaped", b"x"))], SERVER), ".."),
        "dotdot_inside": (docker_save([tar(("a/../../../escaped", b"x"))], SERVER), ".."),
        "absolute": (docker_save([tar((str(host_file), b"x"))], SERVER), "absolute"),
        "pax_path": (docker_save([pax("fine", {"path": away})], SERVER), ".."),
        "link_then_file": (docker_save([tar(("out", link(str(host_file.parent))), ("out/escaped", b"x"))], SERVER),
                           "leads nowhere"),
        "link_by_dotdot": (docker_save([tar(("out", link(os.path.dirname(away))), ("out/escaped", b"x"))], SERVER),
                           "leads nowhere"),
        "link_of_a_lower_layer": (docker_save([tar(("out", link(str(host_file.parent)))),
                                               tar(("out/escaped", b"x"))], SERVER), "leads nowhere"),
        "link_to_proc": (docker_save([tar(("out", link("/proc/self/root")), ("out/tmp/escaped", b"x"))], SERVER),
                         "leads nowhere"),
        "link_loop": (docker_save([tar(("a", link("b")), ("b", link("a")), ("a/x", b"x"))], SERVER), ""),
        "hard_link": (docker_save([tar(("a", link(away, tarfile.LNKTYPE)))], SERVER), ".."),
        "hard_link_absolute": (docker_save([tar(("a", link(str(host_file), tarfile.LNKTYPE)))], SERVER), ""),
        "hard_link_by_link": (docker_save([tar(("out", link(str(host_file.parent))),
                                               ("a", link("out/canary", tarfile.LNKTYPE)))], SERVER), ""),
        "whiteout_dotdot": (docker_save([good[0], tar(("../.wh.images", b""))], SERVER), ".."),
        "whiteout_of_dotdot": (docker_save([good[0], tar((".wh...", b""))], SERVER), "whiteout"),
        "whiteout_of_nothing": (docker_save([good[0], tar((".wh.", b""))], SERVER), "whiteout"),
        "whiteout_of_dot": (docker_save([good[0], tar(("etc/.wh..", b""))], SERVER), "whiteout"),
        "root_replaced": (docker_save([tar(("./", link("/tmp")), ("escaped", b"x"))], SERVER), ""),
        "deep_path": (docker_save([tar(("d/" * 300 + "x", b"x"))], SERVER), "deep"),
        "long_name": (docker_save([tar(("n" * 300, b"x"))], SERVER), "too long"),
        "too_large": (docker_save([layer_of_zeros(10 * GIB)], SERVER), "unpack"),
        "too_large_twice_packed": (docker_save([gzip.compress(layer_of_zeros(10 * GIB), 6)], SERVER), ""),
        "too_many_entries": (docker_save([many_entries(600_000)], SERVER), "500000 files"),
        "archive_of_many_entries": (tar(*((f"{i}", b"") for i in range(10_500))), ""),
        "manifest_to_dotdot": (save_with(manifest_of(one_name, [away]), (one_name, one)), "has no"),
        "manifest_to_absolute": (save_with(manifest_of(str(host_file), ["layer"]), ("layer", good[0])), "not a digest"),
        "config_is_a_link": (save_with(manifest_of("config", ["layer"]), ("config", link(str(host_file))),
                                       ("layer", good[0])), ""),
        "layer_is_a_link": (save_with(manifest_of(config_name, ["layer", "layer"]), (config_name, config),
                                      ("layer", link(str(host_file)))), ""),
        "layer_digest": (tar(*lied.items()), "digest"),
        "diff_id": (docker_save([good[0], good[1]], SERVER).replace(digest(good[0]).encode(), b"0" * 64), ""),
        "index_of_nothing": (tar(*looped.items()), "has no"),
        "json_depth": (save_with(b"[" * 200_000 + b"]" * 200_000), ""),
        "json_size": (save_with(b'[{"Config":"' + b"a" * (5 << 20) + b'"}]'), ""),
        "json_manifests": (save_with(manifest_of("c", ["l"] * 100_000)), ""),
        "json_number": (save_with(b'[{"Config":1e999999,"Layers":[]}]'), ""),
        "user_outside_the_range": (docker_save(good, SERVER | {"User": "4294967295"}), ""),
    }


def many_entries(count):
    """A layer of `count` empty files, compressed: whole tar blocks, made once and numbered."""
    info = tarfile.TarInfo("000000")
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as packed:
        for i in range(0, count, 1000):
            blocks = []
            for j in range(i, i + 1000):
                info.name = f"{j:06}"
                blocks.append(_fast_head(info, j))
            packed.write(b"".join(blocks))
        packed.write(bytes(1024))
    return out.getvalue()


_head = None


def _fast_head(info, number):
    """The tar head of an empty file named by six digits: only its name and its checksum change."""
    global _head
    if _head is None:
        info.name = "000000"
        _head = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
        _head[148:156] = b" " * 8
    name = b"%06d" % number
    total = sum(_head) - 6 * 48 + sum(name)
    return name + bytes(_head[6:148]) + b"%06o\0 " % total + bytes(_head[156:512])


def harmless():
    """name: a layer's entries that are left out or disarmed."""
    return {
        "device_nodes": [("dev/mem", node_of(tarfile.CHRTYPE)), ("sda", node_of(tarfile.BLKTYPE, 8, 0))],
        "fifo": [("pipe", {"type": tarfile.FIFOTYPE})],
        "set_user_id": [("bin/rooted", {"mode": 0o6755})],
        "foreign_owner": [("owned", {"uid": 0x7fffffff, "gid": 0x7fffffff})],
        "links_that_lead_out": [("etc/out", link("/../../../../etc")), ("etc/up", link("../../../../../etc/shadow"))],
        "proc_replaced": [("proc", link("/etc")), ("dev", link("/etc")), ("tmp", link("/etc"))],
        "opaque": [("etc/.wh..wh..opq", b""), (".wh..wh..opq", b"")],
        "overlay_attributes": [("etc/attribute", {"pax_headers": {"SCHILY.xattr.user.overlay.redirect": "/../..",
                                                                  "SCHILY.xattr.security.capability": "x"}})],
    }


def disarmed(root):
    """What in an unpacked image could do harm."""
    wrong = []
    for folder, names, files in os.walk(root):
        for name in names + files:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode) or stat.S_ISLNK(info.st_mode)):
                wrong.append(f"{path} is a device, a FIFO or a socket")
            if info.st_mode & 0o6000 and not stat.S_ISLNK(info.st_mode):
                wrong.append(f"{path} has a set-id bit")
            if info.st_uid < 1_000_000 or info.st_gid < 1_000_000:
                wrong.append(f"{path} belongs to user {info.st_uid}, group {info.st_gid}")
            if not stat.S_ISLNK(info.st_mode) and os.listxattr(path):
                wrong.append(f"{path} has attributes {os.listxattr(path)}")
    return wrong


def tree(folder, leave_out):
    return {os.path.join(at, name) for at, names, files in os.walk(folder) for name in names + files
            if not any(part in at for part in leave_out)}


def _refusals(own, outside):
    for name, (archive, word) in refused(outside.file).items():
        folder = image_function(own, name.replace("_", "-"))
        (folder / "image.tar").write_bytes(archive)
        try:
            said = refused_deploy(own, folder, word).stderr.strip().splitlines()[-1]
            named = "internal" not in said and "killed" not in said
            yield check("images", f"images.{name}", named, said[-150:])
        except AssertionError as error:
            yield check("images", f"images.{name}", False, str(error)[:300])
        (folder / "image.tar").unlink()


def no_images(own):
    images = own.state / "images"
    return not images.exists() or not list(images.iterdir())


def _deployed(own):
    for name, entries in harmless().items():
        wait_for("the last image to be gone", lambda: no_images(own), 30)
        folder = image_function(own, name.replace("_", "-"))
        (folder / "image.tar").write_bytes(docker_save([tar(("bin/server", server_file())), tar(*entries)], SERVER))
        done = own.cli("deploy", folder, check=False)
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()[-1]
            yield check("images", f"images.{name}", "internal" not in said, f"refused: {said[-120:]}")
            continue
        wrong = [w for root in (own.state / "images").glob("*/rootfs") for w in disarmed(root)]
        # The links of the image mean something inside the container only.
        for path in ("/etc/shadow", "/etc/out/shadow", "/etc/up", "/proc/shadow", "/tmp/shadow"):
            if b"root:" in own.get(f"/function/{name.replace('_', '-')}/read?path={path}").body:
                wrong.append(f"{path} is the host's")
        yield check("images", f"images.{name}", not wrong, "; ".join(wrong) or "disarmed")
        own.cli("remove", name.replace("_", "-"))


def server_file():
    return fixture("native").read_bytes()


def try_images():
    need_root()
    with host() as outside, node(ONLY_CONTAINER) as own:
        attempts = list(_refusals(own, outside))
        attempts += _deployed(own)
        stray = [p for folder in ("/", "/tmp", str(outside.folder), str(own.folder), str(own.state))
                 for p in [os.path.join(folder, "escaped")] if os.path.lexists(p)]
        attempts.append(check("images", "outside.no_stray_file", not stray, ", ".join(stray) or "none"))
        attempts += outside.untouched("images")
        attempts.append(check("images", "outside.node_serves", own.admin("GET", "/v1/node").status == 200, "yes"))
        return attempts
