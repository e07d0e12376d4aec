#!/bin/sh
# Makes what the overlay of a region takes from files, into overlays/REGION/secrets. Files that are there stay:
# run it again for what is missing. It needs openssl, and jiragate in PATH or its path in JIRAGATE.
#
#   ./secrets.sh us
set -eu
umask 077
region=${1:?"which region: us or eu?"}
here=$(cd "$(dirname "$0")" && pwd)
namespace=jiragate-$region
program=${JIRAGATE:-jiragate}
cd "$here/overlays/$region"
mkdir -p secrets/authorities && cd secrets

# kept FILE: one that is missing, while what goes with it is there, was put away. Another one would not do.
kept() {
  [ -e "$1" ] || { echo "secrets.sh: $PWD/$1 is not here, and was made before: put your copy of it back" >&2; exit 1; }
}

# authority FILE NAME: a CA, self-signed, ten years.
authority() {
  [ ! -e "$1.pem" ] || return 0
  [ -e "$1.key" ] || openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
  openssl req -x509 -new -key "$1.key" -sha256 -days 3650 -subj "/CN=$2" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" -out "$1.pem"
}

# certificate FILE AUTHORITY NAME USES SANS: one that the CA signs, a year.
certificate() {
  [ ! -e "$1.crt" ] || return 0
  kept "$2.key"
  [ -e "$1.key" ] || openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
  printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\n%s\n' \
    "$4" "${5:+subjectAltName=$5}" >authorities/extensions
  openssl req -new -key "$1.key" -subj "/CN=$3" -out authorities/request
  openssl x509 -req -in authorities/request -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -sha256 -days 365 \
    -extfile authorities/extensions -out "$1.crt" 2>/dev/null
  rm authorities/extensions authorities/request
}

# The keyset: all is sealed under it. Keep a copy elsewhere; without it, nothing can be opened. No other one is made
# where there was one.
if [ -e root.pem ]; then
  kept keyset.json
elif [ ! -e keyset.json ]; then
  env -u JIRAGATE_STORE JIRAGATE_DATA_DIR="$PWD/new" JIRAGATE_KEY_URI="file:$PWD/keyset.json" "$program" key init
  rm -r new
fi

# The root that clients trust for what is inside their tunnels.
authority root "jiragate $region"
kept root.key

# The listeners of proxy and admin; clients trust authorities/proxy.pem for the way to the proxy.
authority authorities/proxy "jiragate proxy $region"
certificate tls authorities/proxy "jiragate.$namespace.svc" serverAuth \
  "DNS:jiragate.$namespace.svc,DNS:jiragate.$namespace.svc.cluster.local,DNS:jiragate-admin.$namespace.svc,DNS:*.jiragate-admin.$namespace.svc,DNS:localhost"

# etcd: its members are servers, and clients of each other; the gateway's name is its user.
authority authorities/store "jiragate store $region"
cp authorities/store.pem store-ca.crt
certificate etcd authorities/store etcd serverAuth,clientAuth \
  "${ETCD_NAMES:-DNS:etcd-0.etcd,DNS:etcd-1.etcd,DNS:etcd-2.etcd,DNS:localhost,IP:127.0.0.1}"
certificate store authorities/store gateway clientAuth ""

# Who has it may do everything at the admin API.
[ -e admin-token ] || openssl rand -hex 32 >admin-token

# Who has it may read metrics. It is for Prometheus.
[ -e metrics-token ] || openssl rand -hex 32 >metrics-token

# The egress addresses, each with the provider's proxy: put in your hosts, users and passwords.
[ -e egress ] || cp "$here/../egress/$region-provider.egress" egress

echo "made in $PWD; edit the file egress, and keep keyset.json, root.key and authorities in a safe place besides"
