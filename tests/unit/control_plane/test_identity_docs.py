"""The table of roles that people read is the one that the code has."""

from pathlib import Path

from serving.contract.permissions import ROLE_PERMISSIONS, Permission, Role

DOCS = Path(__file__).parents[3] / "docs" / "identity.md"


def test_the_table_of_roles_is_the_one_in_the_code():
    said = [line for line in DOCS.read_text().splitlines() if line.startswith("| ")]
    head = f"| permission | {' | '.join(Role)} |"
    rows = [
        f"| `{permission}` | "
        + " | ".join("x" if permission in ROLE_PERMISSIONS[role] else "" for role in Role)
        + " |"
        for permission in Permission
    ]
    begins = said.index(head)
    assert said[begins : begins + len(rows) + 1] == [head, *rows]
