// Reads archives from stdin, each after its length as 4 bytes, and says in a line of its own what is in it (main.rs, `Seen`).
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
)

const most = 1 << 20

func kind(header *tar.Header) string {
	switch header.Typeflag {
	case tar.TypeReg, '\x00', tar.TypeCont, tar.TypeGNUSparse:
		return "file"
	case tar.TypeLink:
		return "hardlink"
	case tar.TypeSymlink:
		return "symlink"
	case tar.TypeChar:
		return "char"
	case tar.TypeBlock:
		return "block"
	case tar.TypeDir:
		return "directory"
	case tar.TypeFifo:
		return "fifo"
	}
	return fmt.Sprintf("type %q", header.Typeflag)
}

func read(data []byte) string {
	said := []string{}
	archive := tar.NewReader(bytes.NewReader(data))
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return strings.Join(said, "|")
		}
		if err == nil && header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		var line string
		if err == nil {
			line, err = entry(archive, header)
		}
		if err != nil {
			said = append(said, "!"+strings.Join(strings.Fields(err.Error()), " "))
			return strings.Join(said, "|")
		}
		said = append(said, line)
	}
}

func entry(archive *tar.Reader, header *tar.Header) (string, error) {
	what, link := kind(header), ""
	if what == "symlink" || what == "hardlink" {
		link = header.Linkname
	}
	size, check := int64(0), uint32(0)
	if what == "file" {
		size = header.Size
		if size <= most {
			content, err := io.ReadAll(archive)
			if err != nil {
				return "", err
			}
			if int64(len(content)) != size {
				return "", fmt.Errorf("short")
			}
			check = crc32.ChecksumIEEE(content)
		}
	}
	return fmt.Sprintf("%x,%s,%d,%x,%x", header.Name, what, size, link, check), nil
}

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		var length uint32
		if binary.Read(in, binary.LittleEndian, &length) != nil {
			return
		}
		data := make([]byte, length)
		if _, err := io.ReadFull(in, data); err != nil {
			return
		}
		fmt.Fprintln(out, read(data))
		out.Flush()
	}
}
