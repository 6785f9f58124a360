package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ClickHouse can read any file and call any address (file(), url() and forty others), and a session's readonly = 1 does not
// stop all of it. So the child gives up these rights itself, by Landlock: it keeps its data, its sockets, its code, and
// what a process needs to live; no TCP. Landlock binds threads and what they start, so the child confines one thread and
// executes itself again from it.

// confinedEnv marks a child that has been through confine.
const confinedEnv = "CONTRAIL_ENGINE_CONFINED"

const (
	fsExecute = unix.LANDLOCK_ACCESS_FS_EXECUTE
	fsRead    = unix.LANDLOCK_ACCESS_FS_READ_FILE
	fsList    = unix.LANDLOCK_ACCESS_FS_READ_DIR
	fsWrite   = unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	fsFile    = fsExecute | fsRead | fsWrite | unix.LANDLOCK_ACCESS_FS_TRUNCATE // what a rule on a single file may name
	fsAll     = 1<<13 - 1                                                       // of Landlock's first version
	netTCP    = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
)

// confine returns in the confined process: the first time it executes this binary again. A kernel without Landlock is no
// error: the read-only socket then has its other locks alone.
func confine(o ChildOptions) error {
	if os.Getenv(confinedEnv) != "" {
		return nil
	}
	runtime.LockOSThread() // never unlocked: this thread becomes the process
	state := "yes"
	if err := landlock(o); errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		state = "no"
		slog.Warn("the kernel cannot confine the embedded engine", "error", err)
	} else if err != nil {
		return fmt.Errorf("confine the embedded engine: %w", err)
	}
	return fmt.Errorf("start the confined engine: %w", syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), confinedEnv+"="+state)))
}

// landlock restricts the calling thread.
func landlock(o ChildOptions) error {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return errno
	}
	rules := unix.LandlockRulesetAttr{Handled_access_fs: fsAll}
	bytes := unsafe.Sizeof(rules.Handled_access_fs)
	if abi >= 2 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 {
		rules.Handled_access_net = netTCP
		bytes += unsafe.Sizeof(rules.Handled_access_net)
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), bytes, 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(fd))
	grants, err := grants(o)
	if err != nil {
		return err
	}
	for path, access := range grants {
		if err := allow(int(fd), path, access&rules.Handled_access_fs); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// grants says what the child may touch.
func grants(o ChildOptions) (map[string]uint64, error) {
	all := uint64(fsAll&^fsExecute | unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE)
	g := map[string]uint64{
		"/proc/self":    fsRead | fsList | fsWrite, // its pipes, its memory. Not /proc: there the parent's environment lies open
		"/proc/cpuinfo": fsRead, "/proc/meminfo": fsRead, "/proc/stat": fsRead, "/proc/vmstat": fsRead, "/proc/loadavg": fsRead, "/proc/uptime": fsRead,
		"/proc/filesystems": fsRead, "/proc/diskstats": fsRead, "/proc/pressure": fsRead | fsList, "/proc/sys": fsRead | fsList,
		"/sys": fsRead | fsList, "/dev/null": fsRead | fsWrite, "/dev/zero": fsRead, "/dev/urandom": fsRead, "/dev/random": fsRead,
		"/etc/localtime": fsRead, "/etc/timezone": fsRead, "/etc/ld.so.cache": fsRead, "/usr/share/zoneinfo": fsRead | fsList,
		"/etc/hosts": fsRead, "/etc/host.conf": fsRead, "/etc/resolv.conf": fsRead, "/etc/nsswitch.conf": fsRead, "/etc/gai.conf": fsRead, // its own name
		"/usr/lib/debug":        fsRead | fsList, // it aborts when the symbols for a stack are there but closed
		filepath.Dir(o.Library): fsRead | fsList, o.Dir: all, o.Sockets: all,
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(maps)) { // this binary, the loader, the C library, wherever they are
		i := strings.IndexByte(line, '/')
		if i < 0 {
			continue
		}
		path := strings.TrimSuffix(line[i:], "\n")
		g[path] |= fsRead | fsExecute
		if strings.Contains(filepath.Base(path), ".so") {
			g[filepath.Dir(path)] |= fsRead | fsList // others of the C library's files
		}
	}
	return g, nil
}

// allow adds a rule. What does not exist needs none.
func allow(ruleset int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= fsFile
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
