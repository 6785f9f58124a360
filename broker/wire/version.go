package wire

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

var languages = []string{"JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP", "OMS", "RUST", "NODE_JS"}

// LanguageName is RocketMQ's name of the client's language (org.apache.rocketmq.remoting.protocol.LanguageCode).
func (f *Frame) LanguageName() string {
	if f.Type == JSON {
		if len(f.Language) > 32 {
			return "OTHER"
		}
		return string(f.Language)
	}
	if int(f.Lang) < len(languages) {
		return languages[f.Lang]
	}
	return "OTHER"
}

func (f *Frame) languageNumber() uint8 {
	if f.Type == Binary {
		return f.Lang
	}
	for i, name := range languages {
		if string(f.Language) == name {
			return uint8(i)
		}
	}
	return 7 // OTHER
}

// Ordinals of the first release of each minor version (org.apache.rocketmq.common.MQVersion): releases between are two apart.
var releases = []struct {
	ordinal int32
	major   int
	minor   int
	patch   int
}{
	{233, 4, 1, 0}, {253, 4, 2, 0}, {273, 4, 3, 0}, {293, 4, 4, 0}, {313, 4, 5, 0}, {333, 4, 6, 0}, {353, 4, 7, 0}, {373, 4, 8, 0}, {393, 4, 9, 0},
	{413, 5, 0, 0}, {433, 5, 1, 0}, {453, 5, 2, 0}, {473, 5, 3, 0}, {493, 5, 4, 0}, {513, 5, 5, 0},
}

// VersionName is RocketMQ's name of a version's ordinal, V5_5_0; snapshots have the name of their release.
func VersionName(ordinal int32) string {
	i := sort.Search(len(releases), func(i int) bool { return releases[i].ordinal > ordinal+1 }) - 1
	if i < 0 {
		return "V" + strconv.Itoa(int(ordinal))
	}
	r := releases[i]
	return fmt.Sprintf("V%d_%d_%d", r.major, r.minor, r.patch+int(ordinal+1-r.ordinal)/2)
}

// VersionOrdinal is the ordinal that VersionName named; 0 for a name that it does not give.
func VersionOrdinal(name string) int32 {
	var major, minor, patch int
	if _, err := fmt.Sscanf(name, "V%d_%d_%d", &major, &minor, &patch); err == nil {
		for _, r := range releases {
			if r.major == major && r.minor == minor {
				return r.ordinal + int32(2*(patch-r.patch))
			}
		}
	}
	n, _ := strconv.Atoi(strings.TrimPrefix(name, "V"))
	return int32(n)
}
