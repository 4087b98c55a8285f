set -eu
mkdir -p /etc/containerd/certs.d/localhost:5002
printf 'server = "http://127.0.0.1:5001"\n[host."http://127.0.0.1:5001"]\n  capabilities = ["pull", "resolve"]\n' >/etc/containerd/certs.d/localhost:5002/hosts.toml
cat >/etc/systemd/system/devbox-guard.service <<'UNIT'
[Unit]
Description=Refuse Service addresses that kube-proxy has not rewritten
Before=kubelet.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'for chain in FORWARD OUTPUT; do iptables -w -C $$chain -d 10.96.0.0/16 -j REJECT || iptables -w -I $$chain -d 10.96.0.0/16 -j REJECT; done'
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --now --quiet devbox-guard.service
install -d -o 65532 -g 65532 -m 0755 /var/lib/devbox/registry
ln -sf /bin/true /kind/bin/mount-product-files.sh
until [ -S /run/containerd/containerd.sock ] && ctr version >/dev/null 2>&1; do sleep 0.1; done
