#!/bin/sh
# Makes sure that the active Rust toolchain can build for wasm32-wasip2.
#
# Nothing happens where the target is installed. Else rustup is asked for it; where rustup cannot fetch it, the
# target's standard library is built once from Debian's packages (rust-src of the same version, wasi-libc). What is
# being done goes to standard output; a failure ends with one sentence on standard error that says what to do.
set -eu

target=wasm32-wasip2

give_up() {
    echo "plugins need the Rust target $target: $1" >&2
    exit 1
}

command -v rustc >/dev/null 2>&1 || give_up "there is no rustc; install Rust from https://rustup.rs"
lib=$(rustc --print target-libdir --target "$target" 2>/dev/null) ||
    give_up "this rustc ($(rustc --version)) does not know it; install Rust 1.95 or newer from https://rustup.rs"
rustlib=${lib%/*/*}
version=$(rustc --version | cut -d' ' -f2)

installed() {
    for file in "$lib"/libstd-*.rlib; do
        [ -e "$file" ] && return 0
    done
    return 1
}

installed && exit 0

# One at a time: two that write the same toolchain get in each other's way. The folder itself is what they wait for,
# so that nothing is left behind, and nothing needs to be writable.
if [ -r "$rustlib" ] && command -v flock >/dev/null 2>&1; then
    exec 9<"$rustlib"
    flock -n 9 || {
        echo "waiting for another build that installs the target $target"
        flock 9
    }
    installed && exit 0
    # Whoever is alone finds only what a killed build could not take along.
    rm -rf "$rustlib/.$target".* 2>/dev/null || :
    [ -e "$rustlib/src/rust" ] || rm -f "$rustlib/src/rust" 2>/dev/null || :
fi

if command -v rustup >/dev/null 2>&1; then
    echo "asking rustup for the target $target"
    limit=
    command -v timeout >/dev/null 2>&1 && limit="timeout 300"
    # shellcheck disable=SC2086 # the limit is two words, or none
    if $limit rustup target add "$target" >/dev/null 2>&1 && installed; then
        exit 0
    fi
fi

# From here on the sysroot is written by hand, so see first whether it can be.
by_hand="run \`rustup target add $target\` where rustup can reach its server and write to $rustlib"
scratch=$(mktemp -d "$rustlib/.$target.XXXXXX" 2>/dev/null) ||
    give_up "rustup could not add it, and the toolchain's folder $rustlib cannot be written; $by_hand"
link=
clean_up() {
    [ -z "$link" ] || rm -f "$link"
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

for tool in apt-get apt-cache dpkg; do
    command -v "$tool" >/dev/null 2>&1 ||
        give_up "rustup could not add it, and without Debian's $tool it cannot be built here; $by_hand"
done
mirror=$(find /etc/apt \( -name '*.list' -o -name '*.sources' \) -exec cat {} + 2>/dev/null |
    sed -nE -e 's/^URIs:[[:space:]]*([^[:space:]]*debian)\/?[[:space:]]*$/\1/p' \
        -e 's/^deb (\[[^]]*\] )?([^[:space:]]*debian)\/?[[:space:]].*/\2/p' | head -n 1)
[ -n "$mirror" ] || give_up "rustup could not add it, and apt knows no Debian mirror to build it from; $by_hand"

echo "rustup cannot fetch $target: building its standard library from Debian's packages, once"

# A package list of our own: the machine's stays as it is, and no privilege is needed.
mkdir -p "$scratch/lists/partial" "$scratch/archives/partial" "$scratch/root"
for suite in trixie trixie-backports forky sid; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
done >"$scratch/sources.list"
set -- -o "Dir::Etc::SourceList=$scratch/sources.list" -o Dir::Etc::SourceParts=- \
    -o "Dir::State::Lists=$scratch/lists" -o "Dir::Cache=$scratch" -o Acquire::Languages=none
[ "$(id -u)" -ne 0 ] || set -- "$@" -o APT::Sandbox::User=root
apt-get -qq "$@" update 2>&1 || give_up "rustup could not add it, and the mirror $mirror does not answer; $by_hand"
candidates() {
    name=$1
    shift
    apt-cache "$@" madison "$name" | tr -d ' ' | cut -d'|' -f2
}
libc=$(candidates wasi-libc "$@" | head -n 1)
source=$(candidates rust-src "$@" | grep -m 1 "^$version[+~-]") || source=
[ -n "$source" ] && [ -n "$libc" ] ||
    give_up "rustup could not add it, and the mirror $mirror has no rust-src $version with wasi-libc; $by_hand"
(
    cd "$scratch"
    apt-get -qq "$@" download "rust-src=$source" "wasi-libc=$libc" 2>&1
    for package in *.deb; do
        dpkg -x "$package" root
    done
) || give_up "the packages rust-src $source and wasi-libc $libc cannot be fetched from $mirror; $by_hand"

# Cargo looks for the sources of the standard library in this one place.
if [ ! -e "$rustlib/src/rust/library/std" ]; then
    mkdir -p "$rustlib/src"
    [ ! -e "$rustlib/src/rust" ] || give_up "$rustlib/src/rust is in the way of its sources; remove it"
    ln -s "$scratch/root/usr/src/rustc-$version" "$rustlib/src/rust"
    link=$rustlib/src/rust
fi
mkdir -p "$scratch/std/src" "$scratch/$target/lib/self-contained"
cat >"$scratch/std/Cargo.toml" <<'MANIFEST'
[package]
name = "only-std"
edition = "2024"
[workspace]
MANIFEST
echo '#![no_std]' >"$scratch/std/src/lib.rs"
libc_folder=$scratch/root/usr/lib/$target
cp "$libc_folder/crt1-command.o" "$libc_folder/crt1-reactor.o" "$libc_folder/libc.a" "$scratch/$target/lib/self-contained/" ||
    give_up "the package wasi-libc $libc lacks the C library for $target; $by_hand"
(
    cd "$scratch/std"
    # The tools of this very toolchain: here, no file of a project says which one is meant.
    PATH=$rustlib/../../bin:$PATH
    # With its bitcode inside, as rustup ships it: plugins are built with link-time optimisation.
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET -u RUSTC_WRAPPER \
        RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR="$scratch/out" \
        cargo build --quiet --release --target "$target" -Zbuild-std=std,panic_abort,panic_unwind,proc_macro,test 2>&1
) || give_up "its standard library does not build from rust-src $source; $by_hand"
rm -f "$scratch/out/$target/release/deps"/libonly_std-*
cp "$scratch/out/$target/release/deps"/*.rlib "$scratch/$target/lib/"

# One rename: another build sees the whole library or none of it.
if ! installed; then
    rm -rf "$rustlib/$target"
    mv "$scratch/$target" "$rustlib/$target"
fi
echo "installed $target for rustc $version"
