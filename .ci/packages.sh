# Sourced by gateway/run.sh and tests/run.sh: what they need from Debian and from npm, installed only where it is missing.

# What the build needs; its tests and load harness included, since one configuration builds all.
build_packages=(build-essential cmake ninja-build pkg-config libwebsockets-dev libuv1-dev libcurl4-openssl-dev
    libssl-dev libyaml-dev libutf8proc-dev libseccomp-dev libnghttp2-dev libjson-c-dev check)

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

# need_newer_node: 20 or later, as the official client and Playwright ask for; Debian 12's is 18, so npm puts another beside it.
need_newer_node() {
    local processor=x64
    need_node
    (($(node -p 'parseInt(process.versions.node)') < 20)) || return 0
    [[ $(uname -m) == x86_64 ]] || processor=arm64
    [[ -x .run/node/node_modules/.bin/node ]] ||
        npm install --prefix .run/node --no-save --no-audit --no-fund "node-linux-$processor@22.23.3" || return
    export PATH=$PWD/.run/node/node_modules/.bin:$PATH
}

# need_modules FOLDER: what its package-lock.json names.
need_modules() {
    need_node
    [[ $1/node_modules/.package-lock.json -nt $1/package-lock.json ]] && return
    if [[ -L $1/node_modules ]]; then
        echo "$1/node_modules is a symbolic link, and npm ci would empty what it leads to: remove it" >&2
        return 1
    fi
    npm ci --prefix "$1" --no-audit --no-fund --loglevel=error
}
