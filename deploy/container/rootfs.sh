#!/bin/sh
# Makes the root of a container that holds one program and nothing else: Node, the libraries that it is linked with,
# certificates of authorities, one user, the program and its health check. No shell, no npm.
#
#     rootfs.sh ROOT NODE PROGRAM [PACKAGE …]
#
# ROOT is made, NODE is a binary of Node for Linux with glibc, PROGRAM a file of `npm run build`, such as
# dist/programs/gateway.mjs, PACKAGE a folder of an optional package that the program is to find, below node_modules.
set -eu
root=$1 node=$2 program=$3
shift 3
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/app" "$root/lib" "$root/lib64"
cp -L "$node" "$root/usr/bin/node"
chmod 755 "$root/usr/bin/node"

# The libraries stand where the loader looks for them, and the loader where the binary does.
for file in $(ldd "$node" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) .*/\1/p'); do
  mkdir -p "$root$(dirname -- "$file")"
  cp -L "$file" "$root$file"
done

cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
echo 'nonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin' > "$root/etc/passwd"
echo 'nonroot:x:65532:' > "$root/etc/group"
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"

cp "$program" "$root/app/program.mjs"
[ ! -e "$program.map" ] || cp "$program.map" "$root/app/$(basename -- "$program").map"
notices=$(dirname -- "$program")/THIRD-PARTY-NOTICES
[ ! -e "$notices" ] || cp "$notices" "$root/app/"
cp "$here/health.mjs" "$root/app/"
for package in "$@"; do
  name=${package##*node_modules/}
  mkdir -p "$root/app/node_modules/$(dirname -- "$name")"
  cp -R "$package" "$root/app/node_modules/$name"
done
