# Sourced by gateway/run.sh and tests/run.sh: what they need from Debian and from npm, installed only where it is missing.

# What the build needs; its tests and load harness included, since one configuration builds all.
build_packages=(build-essential cmake ninja-build pkg-config libwebsockets-dev libuv1-dev libcurl4-openssl-dev
    libssl-dev libyaml-dev libutf8proc-dev libnghttp2-dev libjson-c-dev check)

fail() {
    printf '%s: %s\n' "$0" "$*" >&2
    exit 1
}

# need_packages NAME...: Debian packages.
need_packages() {
    local name missing=() as_root=()
    command -v dpkg-query >/dev/null || fail "this machine is not a Debian; install by hand what is like: $*"
    for name in "$@"; do
        [[ " $(dpkg-query -W -f '${db:Status-Status} ' "$name" 2>/dev/null)" == *' installed '* ]] || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "as root: apt-get install --no-install-recommends ${missing[*]}"
        as_root=(sudo)
    fi
    printf 'Installing %s\n' "${missing[*]}"
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# need_node: Debian's Node.js and npm, unless others are there.
need_node() {
    command -v node >/dev/null && command -v npm >/dev/null || need_packages nodejs npm
}

# need_modules FOLDER: what its package-lock.json names.
need_modules() {
    need_node
    [[ $1/node_modules/.package-lock.json -nt $1/package-lock.json ]] || npm ci --prefix "$1" --no-audit --no-fund
}
