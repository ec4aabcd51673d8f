# SPDX-License-Identifier: Apache-2.0
"""What people use today, from Debian's packages, each with settings for a fast long link. One class per peer."""
import subprocess

from system import System, find

CIPHER = "aes128-gcm@openssh.com"  # the fastest that OpenSSH has on hardware with AES


class RsyncDaemon(System):
    name = "rsync daemon"
    programs = ("rsync",)
    PORT = 8730
    flags = ()

    def start(self, arrived, link):
        config = self.work / "rsyncd.conf"
        config.write_text("port = %d\nuse chroot = no\nreverse lookup = no\n[m]\npath = %s\nread only = no\nuid = root\ngid = root\n"
                          % (self.PORT, arrived))
        self.serve(self.PORT, "rsync", "--daemon", "--no-detach", "--config", config)

    def command(self, source, arrived):
        return ["rsync", "-rW", "--inplace", *self.flags, source, "rsync://%s:%d/m/" % (self.testbed.b.address, self.PORT)]


class RsyncDaemonPacked(RsyncDaemon):
    """For what compresses only: on random bytes it would be the same with a handicap."""
    name = "rsync daemon -z"
    flags = ("-z", "--compress-choice=zstd", "--compress-level=1")
    what = ("checkpoint",)


class OverSsh(System):
    """An sshd of our own with keys of its own: nothing of the machine's ssh is read or changed."""
    is_encrypted = True
    programs = ("ssh", "sshd", "ssh-keygen")
    PORT = 2222

    def prepare(self):
        self.keys = self.work / "ssh"
        if self.keys.exists():
            return  # another peer over ssh made it
        self.keys.mkdir(mode=0o700)
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.keys / key)], check=True)
        (self.keys / "sshd_config").write_text("\n".join((
            "Port %d" % self.PORT, "ListenAddress " + self.testbed.b.address, "HostKey %s/host" % self.keys,
            "PidFile none", "AuthorizedKeysFile %s/user.pub" % self.keys, "PermitRootLogin prohibit-password",
            "PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no", "StrictModes no", "UseDNS no",
            "PrintMotd no", "MaxStartups 100", "MaxSessions 100", "Subsystem sftp internal-sftp")) + "\n")
        (self.keys / "passwd").write_text("root:x:0:0::%s:/bin/sh\nsshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n" % (self.work / "home"))
        (self.keys / "known_hosts").write_text("[%s]:%d %s" % (self.testbed.b.address, self.PORT,
                                                                (self.keys / "host.pub").read_text()))

    def start(self, arrived, link):
        # `ip netns exec` gave it mounts of its own, which nobody else sees. sshd insists on /run/sshd, which only its service
        # makes; and a user whose shell reads no start-up files, which may do anything and take any time.
        script = ("mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && mount --bind %s/passwd /etc/passwd && "
                  "exec %s -D -e -f %s/sshd_config" % (self.keys, find("sshd"), self.keys))
        self.serve(self.PORT, "sh", "-c", script)

    def ssh_flags(self):
        return ["-F", "none", "-i", "%s/user" % self.keys, "-c", CIPHER, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-o", "UserKnownHostsFile=%s/known_hosts" % self.keys, "-o", "GlobalKnownHostsFile=none"]

    def place(self, arrived):
        return "root@%s:%s/" % (self.testbed.b.address, arrived)


class RsyncOverSsh(OverSsh):
    name = "rsync over ssh"
    programs = OverSsh.programs + ("rsync",)

    def command(self, source, arrived):
        shell = " ".join(["ssh", "-p", str(self.PORT), *self.ssh_flags()])
        return ["rsync", "-rW", "--inplace", "-e", shell, source, self.place(arrived)]


class Scp(OverSsh):
    name = "scp"
    programs = OverSsh.programs + ("scp",)

    def command(self, source, arrived):
        return ["scp", "-q", "-r", *self.ssh_flags(), "-P", self.PORT, source, self.place(arrived)]


RCLONE = ("rclone", "copy", "--config", "/dev/null", "--transfers", "16", "--checkers", "16", "--multi-thread-streams", "8")


def rclone_target(source, folder):
    """rclone copies what is in a folder, not the folder."""
    return "%s/%s" % (folder, source.name) if source.is_dir() else "%s" % folder


class RcloneSftp(OverSsh):
    name = "rclone sftp"
    programs = OverSsh.programs + ("rclone",)

    def command(self, source, arrived):
        return [*RCLONE, "--sftp-host", self.testbed.b.address, "--sftp-port", self.PORT, "--sftp-user", "root",
                "--sftp-key-file", self.keys / "user", "--sftp-known-hosts-file", self.keys / "known_hosts",
                "--sftp-concurrency", "64", source, ":sftp:" + rclone_target(source, arrived)]


class RcloneWebdav(System):
    name = "rclone webdav"
    programs = ("rclone",)
    PORT = 8080

    def start(self, arrived, link):
        self.serve(self.PORT, "rclone", "serve", "webdav", "--config", "/dev/null", "--addr",
                   "%s:%d" % (self.testbed.b.address, self.PORT), arrived)

    def command(self, source, arrived):
        return [*RCLONE, "--webdav-url", "http://%s:%d" % (self.testbed.b.address, self.PORT), source,
                ":webdav:" + rclone_target(source, "")]


class GridFtp(System):
    """Anonymous, since nothing here needs a certificate; that leaves it without encryption."""
    name = "GridFTP -p 8"
    programs = ("globus-url-copy", "globus-gridftp-server")
    PORT = 2811

    def start(self, arrived, link):
        self.serve(self.PORT, "globus-gridftp-server", "-s", "-p", self.PORT, "-c", "/dev/null", "-aa",
                   "-anonymous-user", "root", "-allow-root", "-anonymous-names-allowed", "*",
                   "-data-interface", self.testbed.b.address)

    def command(self, source, arrived):
        to = "ftp://%s:%d%s/%s" % (self.testbed.b.address, self.PORT, arrived, source.name)
        if source.is_dir():
            return ["globus-url-copy", "-r", "-cd", "-cc", "8", "-pp", "-fast", "file://%s/" % source, to + "/"]
        return ["globus-url-copy", "-p", "8", "-fast", "file://%s" % source, to]


class Uftp(System):
    """Unicast, at a fixed rate just below the link's: it has no use for more, and no control that finds it."""
    name = "uftp"
    kind = "udp"
    programs = ("uftp", "uftpd")
    PORT = 1044
    RATE_SHARE = 0.95
    BUFFER = 16 << 20
    server_flags = ()
    flags = ("-Y", "none")

    def start(self, arrived, link):
        self.rtt_s = max(link.rtt_ms / 1000, 0.01)
        self.serve(self.PORT, "uftpd", "-d", "-q", "-I", "wan0", "-D", arrived, "-B", self.BUFFER, *self.server_flags, is_udp=True)

    def command(self, source, arrived):
        return ["uftp", "-R", int(self.options.rate * 1000 * self.RATE_SHARE), "-B", self.BUFFER, "-b", "1400", "-I", "wan0",
                "-M", self.testbed.b.address, "-r", "%.3f:0.01:10" % self.rtt_s, *self.flags, source]


class UftpEncrypted(Uftp):
    name = "uftp encrypted"
    is_encrypted = True
    server_flags = ("-K", "ec:prime256v1")
    flags = ("-Y", "aes256-gcm", "-h", "sha256", "-e", "ecdh_ecdsa", "-K", "prime256v1")


PEERS = (RsyncDaemon, RsyncDaemonPacked, RcloneWebdav, GridFtp, Uftp, RsyncOverSsh, Scp, RcloneSftp, UftpEncrypted)
