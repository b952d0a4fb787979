// SPDX-License-Identifier: MIT
// SHARE_API marks what a library exports; everything else is hidden (-fvisibility=hidden).
#pragma once

#define SHARE_API [[gnu::visibility("default")]]
