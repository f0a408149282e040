"""Face mesh: the 468 points of MediaPipe's face models, which cover a face as a mesh.

The points have no names, only numbers: `face_010` is point 10, in the middle; `left_face_263` is
point 263, and `right_face_263` its mirrored point, which has the number 33 in MediaPipe. Limbs are
the contours of the face, the lips, the eyes and the eyebrows. The mirrored point of each point was
derived from the published model: its outputs for an image and for the mirrored image agree by this
permutation.
"""

from jaxpose.skeletons.skeleton import Skeleton, chain

# Points of the person's left and right half, in pairs.
_PAIRS = """
248:3 249:7 250:20 251:21 252:22 253:23 254:24 255:25 256:26 257:27 258:28 259:29 260:30 261:31
262:32 263:33 264:34 265:35 266:36 267:37 268:38 269:39 270:40 271:41 272:42 273:43 274:44 275:45
276:46 277:47 278:48 279:49 280:50 281:51 282:52 283:53 284:54 285:55 286:56 287:57 288:58 289:59
290:60 291:61 292:62 293:63 294:64 295:65 296:66 297:67 298:68 299:69 300:70 301:71 302:72 303:73
304:74 305:75 306:76 307:77 308:78 309:79 310:80 311:81 312:82 313:83 314:84 315:85 316:86 317:87
318:88 319:89 320:90 321:91 322:92 323:93 324:95 325:96 326:97 327:98 328:99 329:100 330:101
331:102 332:103 333:104 334:105 335:106 336:107 337:108 338:109 339:110 340:111 341:112 342:113
343:114 344:115 345:116 346:117 347:118 348:119 349:120 350:121 351:122 352:123 353:124 354:125
355:126 356:127 357:128 358:129 359:130 360:131 361:132 362:133 363:134 364:135 365:136 366:137
367:138 368:139 369:140 370:141 371:142 372:143 373:144 374:145 375:146 376:147 377:148 378:149
379:150 380:153 381:154 382:155 383:156 384:157 385:158 386:159 387:160 388:161 389:162 390:163
391:165 392:166 393:167 394:169 395:170 396:171 397:172 398:173 399:174 400:176 401:177 402:178
403:179 404:180 405:181 406:182 407:183 408:184 409:185 410:186 411:187 412:188 413:189 414:190
415:191 416:192 417:193 418:194 419:196 420:198 421:201 422:202 423:203 424:204 425:205 426:206
427:207 428:208 429:209 430:210 431:211 432:212 433:213 434:214 435:215 436:216 437:217 438:218
439:219 440:220 441:221 442:222 443:223 444:224 445:225 446:226 447:227 448:228 449:229 450:230
451:231 452:232 453:233 454:234 455:235 456:236 457:237 458:238 459:239 460:240 461:241 462:242
463:243 464:244 465:245 466:246 467:247
"""
_MIRRORED = {int(left): int(right) for left, right in (pair.split(":") for pair in _PAIRS.split())}
_LEFT_OF = {right: left for left, right in _MIRRORED.items()}

# Contours. Those of more than five points are closed.
_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
_OUTER_LIPS = (
    *(0, 267, 269, 270, 409, 291, 375, 321, 405, 314),
    *(17, 84, 181, 91, 146, 61, 185, 40, 39, 37),
)
_INNER_LIPS = (
    *(13, 312, 311, 310, 415, 308, 324, 318, 402, 317),
    *(14, 87, 178, 88, 95, 78, 191, 80, 81, 82),
)
_LEFT = (
    (249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466, 263),
    (276, 283, 282, 295, 285),
    (336, 296, 334, 293, 300),
)


def _name(number: int) -> str:
    if number in _MIRRORED:
        return f"left_face_{number:03d}"
    left = _LEFT_OF.get(number)
    return f"face_{number:03d}" if left is None else f"right_face_{left:03d}"


def _contour(numbers: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    return chain([_name(number) for number in numbers], closed=len(numbers) > 5)


FACEMESH468 = Skeleton(
    name="facemesh468",
    keypoints=tuple(_name(number) for number in range(468)),
    pairs=tuple((_name(left), _name(right)) for left, right in _MIRRORED.items()),
    limbs=(
        *(limb for contour in (_OVAL, _OUTER_LIPS, _INNER_LIPS) for limb in _contour(contour)),
        *(limb for contour in _LEFT for limb in _contour(contour)),
        *(
            limb
            for contour in _LEFT
            for limb in _contour(tuple(_MIRRORED[number] for number in contour))
        ),
    ),
    source="Kartynnik et al., Real-time Facial Surface Geometry, 2019 (arXiv:1907.06724)",
)

_DRAWN = {name for limb in FACEMESH468.limbs for name in limb}
CONTOURS = Skeleton(
    name="facemesh_contours",
    keypoints=tuple(name for name in FACEMESH468.keypoints if name in _DRAWN),
    pairs=tuple(pair for pair in FACEMESH468.pairs if set(pair) <= _DRAWN),
    limbs=FACEMESH468.limbs,
    source=FACEMESH468.source,
)
"""Points on the contours alone, for drawings."""
