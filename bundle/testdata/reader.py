#!/usr/bin/env python3
"""Restores a Delta table from a sluice store in a folder: reader.py STORE TABLE [VERSION]

Written from FORMAT.md and nothing else, to show that it suffices. It holds a bundle in memory. Needs Python 3.11 and the program zstd."""
import datetime, functools, hashlib, io, json, os, pathlib, re, shutil, subprocess, sys, tarfile, unicodedata

def require(true, text):
    if not true:
        sys.exit(f"reader.py: {text}")

def parse(raw, formats=(1,)):
    """JSON as M1 to M3 have it; a field that is null counts as missing."""
    unique = lambda pairs: require(len(dict(pairs)) == len(pairs), "a name stands twice in a JSON object") or {k: v for k, v in pairs if v is not None}
    doc = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    require(doc.get("format") in formats, f"format {doc.get('format')}, this program reads 1")
    return doc

def check_path(f):
    """P1 to P4, and P6 for files of checkpoints."""
    path, kind = f["path"], f["kind"]
    require(kind in ("data", "deletion-vector", "change-data", "extra", "checkpoint"), f"kind {kind}")
    if kind == "checkpoint":
        is_one = r"_delta_log/(\d{20}\.checkpoint\.([\w-][\w.-]*\.(parquet|json)|parquet)|_sidecars/[\w-][\w.-]*\.parquet)"
        require(re.fullmatch(is_one, path, re.ASCII), f"not a checkpoint's path: {path!r}")
        return f
    parts = path.split("/")
    require(0 < len(path.encode()) <= 4096 and not re.search(r"[\0\\]|^[A-Za-z]:", path) and all(p not in ("", ".", "..") and len(p.encode()) <= 255 for p in parts), f"path {path!r}")
    plain = "".join(c for c in parts[0] if unicodedata.category(c) != "Cf").split(":")[0].rstrip(". ").casefold()
    require(plain not in ("_delta_log", ".sluice"), f"path {path!r}")
    return f

def unpack(raw, last_name, listing):
    """The contents of the members by path, and the document that describes them."""
    mark = re.match(rb"\x5f\x2a\x4d\x18....sluice format (\d+)", raw, re.DOTALL)  # F1
    require(not mark or int(mark[1]) == 1, "a later format, this program reads 1")
    zstd = subprocess.run(["zstd", "-dcq", "--memory=8MB"], input=raw, stdout=subprocess.PIPE, check=True)
    archive = tarfile.open(fileobj=io.BytesIO(zstd.stdout))
    members = [(m.name, archive.extractfile(m).read()) for m in archive if m.isreg() or require(False, f"{m.name} is no file")]
    files = listing(doc := parse(members[-1][1]))
    require([name for name, _ in members] == [f["path"] for f in files] + [last_name], "other members than are listed")
    return {f["path"]: checked(f, content) for f, (_, content) in zip(files, members)}, doc

def checked(f, content):
    return require((len(content), hashlib.sha256(content).hexdigest()) == (f["size"], f["sha256"]), f"{f['path']}: wrong content") or content

def bundle_files(doc):
    require(all(v["commit"]["path"] == f"_delta_log/{v['version']:020}.json" for v in doc["versions"]), "path of a commit")
    return [f for v in doc["versions"] for f in [*map(check_path, v.setdefault("files", [])), v["commit"]] if "part" not in f]

class Store:
    def __init__(self, folder):
        self.folder, self.bundles, self.floor = folder, {}, None
        self.first = (identity := parse(self.get("sluice.json")))["first_version"]
        require("encryption" not in identity, "the store is encrypted")
        for name in os.listdir(os.path.join(folder, "backups")):
            if (version := re.fullmatch(r"version-(\d{6}|[1-9]\d{6,})", name)) and pathlib.Path(folder, "backups", name, "bundle.tar.zst").exists():
                self.bundles[int(version[1])] = (f"backups/{name}/bundle.tar.zst",)
            if floor := re.fullmatch(r"floor-(\d{6,})\.json", name):
                self.floor = max(self.floor or 0, int(floor[1]))
            if re.fullmatch(r"index-\d{6,}-\d{6,}\.json", name):
                index = parse(self.get(f"backups/{name}"))
                for first, _, offset, size in index["bundles"]:
                    self.bundles.setdefault(first, (index["pack"], offset, size))

    def get(self, key, offset=0, size=1 << 62):
        return pathlib.Path(self.folder, key).read_bytes()[offset : offset + size]

    @functools.lru_cache(1)
    def bundle(self, first):
        contents, doc = unpack(self.get(*self.bundles[first]), f".sluice/version-{first:06}/manifest.json", bundle_files)
        for f in (f for v in doc["versions"] for f in v["files"] if "part" in f):
            contents[f["path"]] = checked(f, self.part(first, f["part"])[f["path"]])
        return contents, doc

    @functools.lru_cache(1)
    def part(self, version, name):
        part = f"version-{version:06}/part-{name}"
        contents, doc = unpack(self.get(f"backups/{part}.tar.zst"), f".sluice/{part}.json", lambda doc: [*map(check_path, doc["files"])])
        require(hashlib.sha256("".join(f"{f['size']} {f['sha256']} {f['path']}\0" for f in doc["files"]).encode()).hexdigest()[:32] == name, f"part {name} has another name")
        return contents

    @functools.lru_cache(2)
    def base(self, version):
        files = lambda doc: [*map(check_path, doc["files"] + doc["checkpoint"]), doc["commit"], doc["index"]]
        return unpack(self.get(f"backups/version-{version:06}/base.tar.zst"), f".sluice/version-{version:06}/base.json", files)

    def find(self, version, digest):
        """Of the bundles that carry the version, the contents and versions of one that follows digest."""
        for first in sorted((f for f in self.bundles if version - 4096 < f <= version), reverse=True):
            contents, doc = self.bundle(first)
            versions = [v for v in doc["versions"] if v["version"] >= version]
            if versions and "gap" not in versions[0] and versions[0].get("previous") == digest:
                return contents, versions
        return None, []

    def restart(self, version):
        """The first version above a hole whose bundle, with a base beside it, has the gap recorded; None if there is none."""
        above = (f for f in sorted(self.bundles) if f >= version and pathlib.Path(self.folder, f"backups/version-{f:06}/base.tar.zst").exists())
        return next((f for f in above if self.bundle(f)[1]["versions"][0].get("gap", {"from": f + 1})["from"] <= version), None)

def put(path, content, time=None):
    """Writes a file, relative to the current folder."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    require(not os.path.exists(path) or pathlib.Path(path).read_bytes() == content, f"{path} has two contents")
    pathlib.Path(path).write_bytes(content)
    if time:
        date, fraction = re.fullmatch(r"([^.Z]+)(?:\.(\d+))?Z", time).groups()
        os.utime(path, ns=(int(datetime.datetime.fromisoformat(date + "+00:00").timestamp()) * 10**9 + int((fraction or "").ljust(9, "0")),) * 2)

def put_listed(store, version):
    """Writes the files that the index of a base lists; returns what the base holds."""
    contents, base = store.base(version)
    for f in (parse(line, (None, 1)) for line in contents[base["index"]["path"]].splitlines()):
        has = store.part(f["version"], f["part"]) if "part" in f else (store.base if f.get("in_base") else store.bundle)(f["version"])[0]
        put(check_path(f)["path"], checked(f, has[f["path"]]))
    return contents, base

def put_base(store, version):
    """Rebuilds the table at a base; returns its version, the digest of its commit, and the version after."""
    for name in os.listdir():
        shutil.rmtree(name) if os.path.isdir(name) else os.remove(name)
    contents, base = put_listed(store, version)
    for f in [*base["checkpoint"], base["commit"]]:
        put(f["path"], contents[f["path"]], base["modified"])
    return version, base["commit"]["sha256"], version + 1

def restore(store, target):
    """Rebuilds the table in the current folder; returns its first and its last version."""
    begins, digest, version = (store.first, None, store.first) if store.floor is None else put_base(store, store.floor)
    while version <= target:
        contents, versions = store.find(version, digest)
        if not versions:
            if (begins_anew := store.restart(version)) is None or begins_anew > target:
                break
            begins, digest, version = put_base(store, begins_anew)
        for v in (v for v in versions if v["version"] <= target):
            require((v["version"], v.get("previous")) == (version, digest), f"version {version} does not follow")
            require(not v.get("files_in_base") or put_listed(store, version)[1]["commit"]["sha256"] == v["commit"]["sha256"], f"base {version}: another commit")  # M11
            for f in [*v["files"], v["commit"]]:
                if f.get("kind") != "checkpoint" or not os.path.exists(f["path"]):  # section 3: a name that is taken stays
                    put(f["path"], contents[f["path"]], v["modified"] if f is v["commit"] else None)
            digest, version = v["commit"]["sha256"], version + 1
    return begins, version - 1

require(len(sys.argv) in (3, 4), __doc__)
the_store = Store(os.path.abspath(sys.argv[1]))
os.mkdir(sys.argv[2])  # fails if it is there
os.chdir(sys.argv[2])
print(*restore(the_store, int([*sys.argv, sys.maxsize][3])))
