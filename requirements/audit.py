"""Known vulnerabilities in the locked packages: python requirements/audit.py

Exit code 1 if there are any that ACCEPTED does not excuse. That the advisory service cannot be reached is said, and
fails nothing: a build must be possible without it.
"""

import json
import subprocess
import sys
from pathlib import Path

ACCEPTED: dict[str, str] = {}
"""{id of an advisory: why it does not concern this project}; take an entry out when its package is upgraded."""
LOCKS = ("cpu", "gpu", "dev", "server")


def main() -> int:
    """Audit, print what was found, and return the exit code."""
    here = Path(__file__).parent
    locks = [argument for name in LOCKS for argument in ("-r", str(here / f"{name}.txt"))]
    excused = [argument for advisory in ACCEPTED for argument in ("--ignore-vuln", advisory)]
    options = [
        "--disable-pip",
        "--require-hashes",
        "--format=json",
        "--desc=off",
        "--progress-spinner=off",
        "--timeout=5",
    ]
    command = [sys.executable, "-m", "pip_audit", *locks, *excused, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        return _unreachable(reason)
    audited = [package for package in packages if "vulns" in package]
    if not audited:
        return _unreachable("it knows none of the packages")
    found = [(package, vulnerability) for package in audited for vulnerability in package["vulns"]]
    for package, vulnerability in found:
        fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in {fixed}")
    print(f"audit: {len(audited)} of {len(packages)} locked packages looked up, {len(found)} known vulnerabilities")
    return 1 if found else 0


def _unreachable(reason: str) -> int:
    print(f"audit: left out, the advisory service cannot be reached ({reason[:120]})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
