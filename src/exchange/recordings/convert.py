"""Makes the recordings of this folder from the raw ones that README.md names.

    python3 convert.py spot_btcusdt_20240808.gz BTCUSDT | zstd --ultra -22 --long=23 > spot_btcusdt_20240808.zst
    python3 convert.py usdm_btcusdt_20240808.gz BTCFUSDT | zstd --ultra -22 --long=23 > usdm_btcusdt_20240808.zst

Lines stay `<receive ns> <frame>`. USD-M frames become spot ones: U is the previous u plus one, and the fields that spot
does not have are left out.
"""

import gzip
import json
import sys


def spot_frame(frame, symbol, previous):
    """The frame as spot would send it, and its last update id."""
    if "lastUpdateId" in frame:
        return {name: frame[name] for name in ("lastUpdateId", "bids", "asks")}, previous
    data = frame["data"]
    kind = data.get("e", "bookTicker")
    data["s"] = symbol
    if kind == "depthUpdate":
        if previous is not None and data.get("pu", data["U"] - 1) != previous:
            sys.exit(f"gap: {data['pu']} does not follow {previous}")
        data["U"] = data["U"] if "pu" not in data else data["pu"] + 1
        names, stream, previous = ("e", "E", "s", "U", "u", "b", "a"), "depth@100ms", data["u"]
    elif kind == "trade":
        data["M"] = True
        names, stream = ("e", "E", "s", "t", "p", "q", "T", "m", "M"), "trade"
    else:
        names, stream = ("u", "s", "b", "B", "a", "A"), "bookTicker"
    data = {name: data[name] for name in names}
    return {"stream": f"{symbol.lower()}@{stream}", "data": data}, previous


def main(path, symbol):
    previous = None
    with gzip.open(path, "rt") as lines:
        for line in lines:
            instant, frame = line.split(" ", 1)
            frame, previous = spot_frame(json.loads(frame), symbol, previous)
            print(instant, json.dumps(frame, separators=(",", ":")))


main(*sys.argv[1:])
